"""Averages of the weights over the steps of a run."""

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from tf_frcnn.models import Detector
from tf_frcnn.models.optimizer import step_count


class AveragedWeights(keras.callbacks.Callback):
    """Averages the trained weights exponentially, and has the averages used.

    The model holds the averages wherever it is used or kept: outside of `fit`, in
    validations, and in files. Meanwhile a variable of the optimizer beside each weight
    holds the value that training goes on with; in training they change places. All
    workers have this callback.

    After step n the momentum is at most (1 + n) / (10 + n), so that the average forgets
    the weights of the beginning.

    Args:
        model: compiled and built.
        momentum: share of the average that a step keeps.

    Source: Polyak and Juditsky 1992; tf.train.ExponentialMovingAverage, `num_updates`.
    """

    def __init__(self, model: Detector, momentum: float):
        super().__init__()
        optimizer: Any = getattr(model.optimizer, "inner_optimizer", model.optimizer)
        # Of the optimizer, so that its state in a file has them.
        self._pairs = [
            (weight, optimizer.add_variable_from_reference(weight, "trained"))
            for weight in model.trainable_variables
        ]
        self._momentum, self._steps = momentum, step_count(optimizer)
        self._strategy, self._is_in_model = model.distribute_strategy, True
        in_graph = tf.function(autograph=False)
        self._update, self._swap = in_graph(self._average), in_graph(self._exchange)

    def begin(self) -> None:
        """Lets training start from the weights of the model, the first average."""
        for weight, other in self._pairs:
            other.assign(weight.value)

    @contextlib.contextmanager
    def in_model(self) -> Iterator[None]:
        """Has the averages in the model for a while."""
        before = self._is_in_model
        self._place(in_model=True)
        try:
            yield
        finally:
            self._place(in_model=before)

    def on_epoch_begin(self, epoch, logs=None):
        """Has the model train."""
        self._place(in_model=False)

    def on_train_batch_end(self, batch, logs=None):
        """Averages."""
        with self._strategy.scope():
            self._update()

    def on_test_begin(self, logs=None):
        """Has the averages validated."""
        self._place(in_model=True)

    def on_train_end(self, logs=None):
        """Leaves the averages in the model."""
        self._place(in_model=True)

    def _place(self, *, in_model: bool) -> None:
        if in_model != self._is_in_model:
            with self._strategy.scope():
                self._swap()
            self._is_in_model = in_model

    def _average(self):
        number = tf.cast(tf.convert_to_tensor(self._steps), tf.float32)
        momentum = tf.minimum(self._momentum, (1.0 + number) / (10.0 + number))

        def update(average, weight):
            average.assign_sub((1.0 - momentum) * (average - weight))

        for weight, average in self._pairs:
            self._strategy.extended.update(
                average.value, update, args=(weight.value,), group=False
            )

    def _exchange(self):
        def exchange(weight, other):
            value = tf.identity(weight)
            weight.assign(other)
            other.assign(value)

        for weight, other in self._pairs:
            self._strategy.extended.update(
                weight.value, exchange, args=(other.value,), group=False
            )
