"""A warning of trainings that wait for their data."""

import time
import warnings
from typing import Any

import keras
import numpy as np
import tensorflow as tf

# Share of an epoch's time from which it is told, in epochs of so many seconds at least.
_TOLD_FROM, _LEAST_SECONDS = 0.2, 10.0


def measures_waiting(model: keras.Model, dataset: Any) -> bool:
    """Returns whether it can be measured how long a model's steps wait for data.

    Where a strategy distributes the data, it reads ahead, and how long that waits says
    nothing. Where operations are to be deterministic, TensorFlow has no clock.
    """
    is_alone = model.distribute_strategy.num_replicas_in_sync == 1
    return is_alone and isinstance(dataset, tf.data.Dataset) and _has_clock()


def _has_clock() -> bool:
    try:
        tf.timestamp()
    except tf.errors.FailedPreconditionError:
        return False
    return True


class WaitingAdvice(keras.callbacks.Callback):
    """Warns after each epoch in which training waited much for its data.

    The first step is not counted, in which the graph is made.

    Args:
        can_keep: whether `data.cache` can help.
    """

    def __init__(self, can_keep: bool):
        super().__init__()
        self._can_keep, self._steps = can_keep, 0
        with tf.device("CPU:0"):
            self._waited = tf.Variable(0.0, dtype=tf.float64, trainable=False)

    def timed(self, dataset: tf.data.Dataset) -> tf.data.Dataset:
        """Returns the same dataset, which notes how long each element is waited for."""

        def note(start, element):
            # An element is there, and only then is the clock read again.
            with tf.control_dependencies(tf.nest.flatten(element)):
                self._waited.assign_add(tf.timestamp() - start)
            return element

        # The parts of an element are asked for one after the other, the clock first.
        starts = tf.data.Dataset.counter().map(lambda _: tf.timestamp())
        timed: Any = tf.data.Dataset.zip(starts, dataset).map(note)
        options = tf.data.Options()
        options.experimental_optimization.inject_prefetch = False  # The asking counts.
        timed = timed.with_options(options)
        timed.cardinality = dataset.cardinality
        return timed

    def on_epoch_begin(self, epoch, logs=None):
        """Begins to count with the end of the first step."""
        self._steps = 0

    def on_train_batch_end(self, batch, logs=None):
        """Notes the time."""
        self._steps += 1
        self._now = time.perf_counter()
        if self._steps == 1:
            self._start, self._before = self._now, self._seconds()

    def on_epoch_end(self, epoch, logs=None):
        """Warns, if so."""
        if not self._steps or self._now - self._start < _LEAST_SECONDS:
            return
        if (share := self.share()) > _TOLD_FROM:
            keep = "Set data.cache to memory or disk, " if self._can_keep else ""
            keep = keep or "Keep what is slow to make by the dataset's cache(), "
            warnings.warn(
                f"Epoch {epoch + 1}: training waited for its data in {share:.0%} of "
                f"the time. {keep}leave out slow changes of images (augment), or take "
                "a machine with more processor cores; docs/input_pipeline.md has more.",
                stacklevel=2,
            )

    def share(self) -> float:
        """Returns the share of the epoch's time so far; NaN before the second step."""
        if self._steps < 2:
            return np.nan
        return (self._seconds() - self._before) / (self._now - self._start)

    def _seconds(self) -> float:
        return float(self._waited.numpy())
