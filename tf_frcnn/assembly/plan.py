"""The optimizer and the schedule of a run."""

from typing import Any, NamedTuple

import keras

from tf_frcnn.assembly.schedule import WarmUpStepDecay
from tf_frcnn.config import Config
from tf_frcnn.models.detector import Detector


class RunPlan(NamedTuple):
    """The settings of a run that concern neither the model nor the data.

    Attributes:
        epochs: number of epochs to train.
        validation_every: epochs from one validation to the next.
        keep_images: validation images that are drawn.
        metric: keyword arguments of `evaluation.evaluate_voc`.
    """

    epochs: int
    validation_every: int
    keep_images: int
    metric: dict[str, Any]


def compile_model(config: Config, model: Detector, steps_per_epoch: int) -> None:
    """Compiles a model with the configured optimizer."""
    train = config.train
    schedule = WarmUpStepDecay(
        train.learning_rate,
        decay_steps=tuple(round(at * steps_per_epoch) for at in train.decay_epochs),
        decay_factor=train.decay_factor,
        warmup_steps=train.warmup_steps,
        warmup_factor=train.warmup_factor,
    )
    if train.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(
            schedule, momentum=train.momentum, global_clipnorm=train.clip_norm
        )
    else:
        optimizer = keras.optimizers.Adam(schedule, global_clipnorm=train.clip_norm)
    optimizer.build(model.trainable_variables)
    model.compile(optimizer, jit_compile=train.jit_compile)


def build_plan(config: Config) -> RunPlan:
    """Returns the settings of a run beside its model and its data."""
    return RunPlan(
        epochs=config.train.epochs,
        validation_every=config.train.validation_every,
        keep_images=config.train.keep_images,
        metric={
            "metric": config.evaluation.metric,
            "iou_threshold": config.evaluation.iou,
            "plus_one": config.evaluation.plus_one,
        },
    )
