"""The means of a training that its logs have."""

from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tf_frcnn.models.step_figures import Figures


class Trackers:
    """The mean of each loss, and the share of steps that were passed over.

    Args:
        losses: names of the losses.
        class_names: of the K classes that RoIs are counted of.

    Attributes:
        with_skipped: whether the logs of a training have `skipped`, that share.
        figures: the means of a training's figures, which Keras's logs do not have.
    """

    def __init__(self, losses: Sequence[str], class_names: Sequence[str] = ()):
        self._losses = {name: keras.metrics.Mean(name) for name in losses}
        self._skipped = keras.metrics.Mean("skipped")
        self.with_skipped = False
        self.figures = FigureMeans(class_names)

    @property
    def by_name(self) -> dict[str, keras.metrics.Mean]:
        """The trackers by their names in the logs."""
        more = {"skipped": self._skipped} if self.with_skipped else {}
        return self._losses | more

    def update(self, losses: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Adds the losses of a step; returns the means so far."""
        for name, value in losses.items():
            self._losses[name].update_state(value)
        return {name: tracker.result() for name, tracker in self._losses.items()}

    def update_in_training(
        self, losses: dict[str, tf.Tensor], is_sound: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """As `update`; of a step that is not sound (bool []) counts only that it is."""
        if not self.with_skipped:
            return self.update(losses)
        weight = tf.cast(is_sound, tf.float32)
        for name, value in losses.items():
            value = tf.where(is_sound, value, 0.0)
            self._losses[name].update_state(value, sample_weight=weight)
        self._skipped.update_state(1.0 - weight)
        return {name: tracker.result() for name, tracker in self.by_name.items()}


class Sum(NamedTuple):
    """A sum over steps.

    Attributes:
        total: of the values.
        weight: number of the steps that have one.
    """

    total: float
    weight: float

    @property
    def mean(self) -> float:
        """As `keras.metrics.Mean` computes it."""
        return float(np.float32(self.total) / np.float32(self.weight))


class FigureMeans(keras.metrics.Metric):
    """Sums of the figures of steps, in two variables, whatever their number.

    Args:
        class_names: of the K classes.
    """

    _SCALARS = (
        *("images", "gradient_norm", "positive_anchors"),
        *("objects", "covered_objects"),
    )
    _OF_CLASSES = "class_rois"

    def __init__(self, class_names: Sequence[str] = ()):
        super().__init__(dtype="float32", name="figures")
        self._num_classes = len(class_names)
        self._names = [*self._SCALARS]
        self._names += [f"{self._OF_CLASSES}/{name}" for name in class_names]
        shape = (2, len(self._names))
        self._sums = self.add_variable(shape, "zeros", name="sums")

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Returns the names of the figures of a step."""
        return (*cls._SCALARS, cls._OF_CLASSES)

    def update_state(self, figures: Figures, is_sound: tf.Tensor) -> None:
        """Adds those figures of a step that are finite, if it was sound (bool [])."""
        nothing = tf.constant(np.nan)
        scalars = [figures.get(name, nothing) for name in self._SCALARS]
        classes = figures.get(self._OF_CLASSES, tf.fill([self._num_classes], nothing))
        values = tf.concat([tf.stack(scalars), classes], axis=0)
        counts = is_sound & tf.math.is_finite(values)
        own = tf.stack([tf.where(counts, values, 0.0), tf.cast(counts, tf.float32)])
        self._sums.assign_add(own)

    def sums(self) -> dict[str, Sum]:
        """Returns the sums of those figures that some step has, by their names."""
        totals, weights = _local(self._sums)[0].numpy().tolist()
        columns = zip(self._names, totals, weights, strict=True)
        return {name: Sum(*own) for name, *own in columns if own[1]}

    def set_sums(self, sums: dict[str, tuple[float, float]]) -> None:
        """Sets what `sums` returns; without an entry there was no step."""
        table = np.array([sums.get(name, (0.0, 0.0)) for name in self._names])
        for part in _local(self._sums):
            part.assign(table.T.astype(np.float32))


def _local(variable: keras.Variable) -> Sequence[tf.Variable]:
    """Returns a variable's copies on this process's devices.

    The variable itself would ask other workers for theirs, and add them up.
    """
    return getattr(variable.value, "values", (variable.value,))
