"""The means of a training that its logs have."""

from collections.abc import Sequence

import keras
import tensorflow as tf


class Trackers:
    """The mean of each loss, and the share of steps that were passed over.

    Args:
        losses: names of the losses.

    Attributes:
        with_skipped: whether the logs of a training have `skipped`, that share.
    """

    def __init__(self, losses: Sequence[str]):
        self._losses = {name: keras.metrics.Mean(name) for name in losses}
        self._skipped = keras.metrics.Mean("skipped")
        self.with_skipped = False

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
