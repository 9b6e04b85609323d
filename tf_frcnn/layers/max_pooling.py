"""Max pooling that XLA differentiates."""

import functools
import itertools

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("tf_frcnn")
class MaxPooling2D(keras.layers.MaxPooling2D):
    """Keras's layer, with a form whose gradient XLA has under determinism too.

    Attributes:
        for_xla: False; whether to take the maximum of shifted maps instead. In both
            forms the first of a window's equal values, by rows, takes the gradient.
    """

    def __init__(self, *arguments, **settings):
        super().__init__(*arguments, **settings)
        self.for_xla = False

    def call(self, inputs):
        """Takes the maxima of float [B, H, W, C]."""
        if not self.for_xla:
            return super().call(inputs)
        sides = tf.unstack(tf.shape(inputs)[1:3])
        around, taken = zip(*map(self._windows, (0, 1), sides), strict=True)
        paddings = [[0, 0], *around, [0, 0]]
        padded = tf.pad(inputs, paddings, constant_values=inputs.dtype.min)
        (down, right), (rows, columns) = self.strides, taken
        shifted = (
            padded[:, top : top + rows : down, left : left + columns : right]
            for top, left in itertools.product(*map(range, self.pool_size))
        )
        return functools.reduce(tf.maximum, shifted)

    def _windows(self, axis, side):
        """Returns the cells to add before and after, and those from first to last.

        Args:
            axis: 0 for rows, 1 for columns.
            side: int32 [], cells of the map.
        """
        size, stride = self.pool_size[axis], self.strides[axis]
        if self.padding == "valid":
            return (0, 0), (side - size) // stride * stride + 1
        reach = (side - 1) // stride * stride + 1
        missing = tf.maximum(reach - 1 + size - side, 0)
        return (missing // 2, missing - missing // 2), reach
