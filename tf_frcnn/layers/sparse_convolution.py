"""Convolutions whose results are used at few cells."""

import keras
import tensorflow as tf

from tf_frcnn.ops.convolution import convolve_for_few


@keras.saving.register_keras_serializable("tf_frcnn")
class SparselyUsedConv2D(keras.layers.Conv2D):
    """`Conv2D` whose gradients come from the cells that the losses look at.

    Those are few where the losses sample anchors or RoIs; see `convolve_for_few`. GPUs
    and XLA compute the gradients of all cells, for which they have better kernels.

    Args:
        *args, **kwargs: of `keras.layers.Conv2D`; strides are 1 and the padding "same".

    Attributes:
        for_xla: False; whether XLA compiles it.
    """

    def __init__(self, *args, padding="same", **kwargs):
        super().__init__(*args, padding=padding, **kwargs)
        self.for_xla = False

    def convolution_op(self, inputs, kernel):
        """Convolves float [B, h, w, C] with float [k, k, C, C2]."""
        if self.for_xla or tf.config.list_physical_devices("GPU"):
            return super().convolution_op(inputs, kernel)
        return convolve_for_few(inputs, tf.convert_to_tensor(kernel))
