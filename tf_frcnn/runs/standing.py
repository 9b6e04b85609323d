"""What follows from the figure that decides which weights are the best."""

import math

import keras

from tf_frcnn.assembly.schedule import WarmUpPlateau
from tf_frcnn.config import ConfigError
from tf_frcnn.data import ExampleSet
from tf_frcnn.models import Detector
from tf_frcnn.runs.state import RunState, Standing


def deciding_figure(wanted: str | None, model: Detector, validation: ExampleSet) -> str:
    """Returns the name of the figure that decides, as the logs have it.

    Args:
        wanted: the setting `train.best_by`.
        model: the detector.
        validation: the data that it is measured on.

    Raises:
        ConfigError: the logs will not have it.
    """
    if model.roi_head is None:
        names = ["val_recall"]
    else:
        present = _classes_with_objects(model, validation)
        names = ["val_mAP", *(f"val_AP/{name}" for name in present)]
    known = [*names, *(f"val_{name}" for name in model.loss_names)]
    if wanted is not None and wanted not in known:
        raise ConfigError(
            f"train.best_by = {wanted!r} is no figure of this run's validations; there "
            f"are {', '.join(known)}.",
            "train.best_by",
        )
    return wanted or names[0]


def _classes_with_objects(model: Detector, examples: ExampleSet) -> list[str]:
    labels: set[int] = set()
    for record in examples.records:
        labels |= {*record.labels[~(record.difficult | record.crowd)].tolist()}
    return [model.class_names[label] for label in sorted(labels)]


def is_better(figure: str, value: float, than: float | None) -> bool:
    """Returns whether a value is better than the best so far, if there is one.

    Losses are better if they are lower, all others if they are higher; NaN never is.
    """
    if than is None:
        return not math.isnan(value)
    return value < than if figure.endswith("loss") else value > than


def begun_anew(state: RunState, figure: str) -> RunState:
    """Returns the state; what was best by another figure is forgotten.

    The weights that were the best stay until some of the new figure are.
    """
    if state.best is not None and state.best.figure != figure:
        print(f"The best weights were chosen by {state.best.figure}, now by {figure}.")
        return state.replace(best=None, standing=Standing(decays=state.standing.decays))
    return state


class Judge(keras.callbacks.Callback):
    """Counts validations without a better figure, and does what is to follow.

    All workers have one; they see the same figures.

    Args:
        figure: of `deciding_figure`.
        standing: where the run stands.
        patience: validations without a better figure after which the training ends;
            None for never.
        plateau_patience: those after which the learning rate falls, if the optimizer
            has a `WarmUpPlateau`.
    """

    def __init__(
        self,
        figure: str,
        standing: Standing,
        *,
        patience: int | None,
        plateau_patience: int,
    ):
        super().__init__()
        self.figure, self.standing = figure, standing
        self._patience, self._plateau_patience = patience, plateau_patience

    @property
    def is_over(self) -> bool:
        """Whether the training has ended for want of a better figure."""
        return self._patience is not None and self.standing.stale >= self._patience

    def on_train_begin(self, logs=None):
        """Sets the learning rate, which a checkpoint does not hold."""
        self._lower()

    def on_epoch_end(self, epoch, logs=None):
        """Counts, if there was a validation."""
        if self.figure not in logs:
            return
        old, value = self.standing, float(logs[self.figure])
        if is_better(self.figure, value, old.value):
            self.standing = Standing(value=value, decays=old.decays)
            return
        stale, waited, decays = old.stale + 1, old.waited + 1, old.decays
        if waited >= self._plateau_patience and self._schedule() is not None:
            waited, decays = 0, decays + 1
        self.standing = Standing(
            value=old.value, stale=stale, waited=waited, decays=decays
        )
        self._lower()
        if self.is_over:
            print(self.farewell())
            self.model.stop_training = True

    def farewell(self) -> str:
        """Returns a line that says why the training has ended."""
        return (
            f"The training ends: {self.standing.stale} validations in a row had no "
            f"better {self.figure} than {self.standing.value:.4f} (train.patience)."
        )

    def _lower(self) -> None:
        if (schedule := self._schedule()) is not None:
            schedule.num_decays.assign(self.standing.decays)

    def _schedule(self) -> WarmUpPlateau | None:
        optimizer = self.model.optimizer
        rate = getattr(optimizer, "inner_optimizer", optimizer)._learning_rate
        return rate if isinstance(rate, WarmUpPlateau) else None
