"""The optimizer and the schedule of a run."""

from typing import Any, NamedTuple

from tf_frcnn.assembly.schedule import (
    WarmUpCosine,
    WarmUpPlateau,
    WarmUpStepDecay,
)
from tf_frcnn.config import Config
from tf_frcnn.models.detector import Detector
from tf_frcnn.models.optimizer import build_optimizer

# Steps over which the rate of a larger batch rises.
_RISE = 1000


class RunPlan(NamedTuple):
    """The settings of a run that concern neither the model nor the data.

    Attributes:
        epochs: number of epochs to train.
        validation_every: epochs from one validation to the next.
        keep_images: validation images that are drawn.
        save_minutes: between two checkpoints within an epoch.
        keep_checkpoints: checkpoints that are kept.
        best_by: the validation figure that decides; None for the model's own.
        patience: validations without a better one that end the training, or None.
        plateau_patience: those that lower the learning rate of "plateau".
        ema: momentum of the average of the weights; 0 for none.
    """

    epochs: int
    validation_every: int
    keep_images: int
    save_minutes: float
    keep_checkpoints: int
    best_by: str | None
    patience: int | None
    plateau_patience: int
    ema: float


def compile_model(config: Config, model: Detector, steps_per_epoch: int) -> None:
    """Compiles a model with the configured optimizer, its learning rate and schedule.

    A rate that neither rises nor falls is no schedule, so that callbacks can change it.
    """
    train = config.train
    rate = _learning_rate(config, steps_per_epoch)
    model.compile(build_optimizer(train, rate), jit_compile=train.jit_compile)


def _learning_rate(config: Config, steps_per_epoch: int) -> Any:
    """Returns a number, or a schedule."""
    train, steps = config.train, steps_per_epoch
    times = _times(config)
    rate = train.learning_rate * times
    warm_up: dict[str, Any] = {
        "warmup_steps": train.warmup_steps,
        "warmup_factor": train.warmup_factor,
    }
    if times > 1 and not train.warmup_steps:
        warm_up = {"warmup_steps": min(_RISE, steps), "warmup_factor": 1 / times}
    if train.schedule == "cosine":
        falling = train.epochs - train.final_epochs
        return WarmUpCosine(
            rate,
            last_step=round(falling * steps),
            final_factor=train.final_factor,
            **warm_up,
        )
    if train.schedule == "plateau":
        return WarmUpPlateau(rate, decay_factor=train.decay_factor, **warm_up)
    if not train.decay_epochs and not warm_up["warmup_steps"]:
        return rate
    return WarmUpStepDecay(
        rate,
        decay_steps=tuple(round(at * steps) for at in train.decay_epochs),
        decay_factor=train.decay_factor,
        **warm_up,
    )


def _times(config: Config) -> float:
    """Returns by what the configured rate is multiplied.

    Source: Goyal et al. 2017, the linear rule and the gradual rise from the rate of
        the smaller batch; 1000 steps as in torchvision's references.
    """
    meant_for = config.train.rate_batch_size
    return config.data.batch_size / meant_for if meant_for else 1.0


def build_plan(config: Config) -> RunPlan:
    """Returns the settings of a run beside its model and its data."""
    return RunPlan(
        epochs=config.train.epochs,
        validation_every=config.train.validation_every,
        keep_images=config.train.keep_images,
        save_minutes=config.train.save_minutes,
        keep_checkpoints=config.train.keep_checkpoints,
        best_by=config.train.best_by,
        patience=config.train.patience,
        plateau_patience=config.train.plateau_patience,
        ema=config.train.ema,
    )
