"""A convolution and its frozen batch normalisation, computed as one convolution.

Normalising with fixed statistics is a factor and an offset for each channel. The factor
goes into the kernel and the offset is a bias: nothing passes over the map again, and
TensorFlow computes convolution, bias and ReLU in one kernel. The layers, their
names and their weights are those of a convolution followed by `BatchNormalization`.
"""

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tf_frcnn.ops.convolution import convolve_groups


@keras.saving.register_keras_serializable("tf_frcnn")
class DeferredConv2D(keras.layers.Conv2D):
    """Holds the weights of a convolution that `FoldedBatchNormalization` computes.

    Its arguments are those of `keras.layers.Conv2D`.
    """

    def call(self, inputs):
        """Returns the map float [B, h, w, C], the kernel, and the bias if there is one.

        The kernel is float [k, k, C / groups, C2], the bias float [C2].
        """
        weights = [self.kernel, self.bias] if self.use_bias else [self.kernel]
        return [inputs, *map(tf.convert_to_tensor, weights)]

    def compute_output_spec(self, inputs):
        """Returns what `call` returns, symbolically."""
        weights = [self.kernel, self.bias] if self.use_bias else [self.kernel]
        shapes = [inputs.shape, *(weight.shape for weight in weights)]
        return [keras.KerasTensor(shape, self.compute_dtype) for shape in shapes]


@keras.saving.register_keras_serializable("tf_frcnn")
class FoldedBatchNormalization(keras.layers.BatchNormalization):
    """Convolves and normalises with fixed statistics.

    Args:
        convolution: `strides`, `padding` and `groups` of the `DeferredConv2D`.
        **settings: of `keras.layers.BatchNormalization`; it never learns.
    """

    def __init__(self, convolution: Mapping[str, Any], **settings):
        super().__init__(**settings | {"trainable": False})
        self.convolution = dict(convolution)

    def build(self, input_shape):
        """Creates the weights; the channels are those of the kernel's output."""
        super().build(input_shape[1])
        self.input_spec = None

    def call(self, inputs, training=None, mask=None):
        """Returns the normalised map, float [B, h', w', C2].

        Args:
            inputs: what `DeferredConv2D` returns.
            training: not used, as nothing learns.
            mask: not used.
        """
        features, kernel, *bias = inputs
        mean, variance, gamma, beta = (
            tf.cast(tf.convert_to_tensor(weight), tf.float32)
            for weight in (
                *(self.moving_mean, self.moving_variance),
                *(self.gamma, self.beta),
            )
        )
        factor = gamma * tf.math.rsqrt(variance + self.epsilon)
        offset = beta - mean * factor
        if bias:
            offset += tf.cast(bias[0], tf.float32) * factor
        kernel = tf.cast(tf.cast(kernel, tf.float32) * factor, features.dtype)
        found = convolve_groups(features, kernel, **self.convolution)
        return tf.nn.bias_add(found, tf.cast(offset, found.dtype))

    def compute_output_spec(self, inputs, **kwargs):
        """Returns what `call` returns, symbolically."""
        return keras.Layer.compute_output_spec(self, inputs)

    def compute_output_shape(self, input_shape):
        """Returns the shape of the normalised map."""
        (batch, *sides, _), (*size, _, channels), *_ = input_shape
        is_valid = self.convolution["padding"] == "valid"
        lost = [n - 1 if is_valid else 0 for n in size]
        sides = [
            side and -(-(side - own) // step)
            for side, own, step in zip(
                sides, lost, self.convolution["strides"], strict=True
            )
        ]
        return (batch, *sides, channels)

    def get_config(self):
        """Returns the constructor's arguments."""
        return super().get_config() | {"convolution": self.convolution}
