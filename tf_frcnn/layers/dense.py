"""Fully connected layers with large kernels."""

from collections.abc import Callable

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("tf_frcnn")
class Dense(keras.layers.Dense):
    """A dense layer whose gradient reads its kernel in the order of the memory.

    The gradient of the inputs is the transpose of kernel times transposed gradient:
    on a CPU that takes a third to a fifth of the time of TensorFlow's own, a product
    with the transposed kernel. The arguments are those of `keras.layers.Dense`.
    """

    def call(self, inputs, training=None):
        """Computes float [..., units] from float [..., C]."""
        if not training:
            return super().call(inputs)
        outputs = _product(
            tf.reshape(inputs, [-1, self.kernel.shape[0]]),
            tf.convert_to_tensor(self.kernel),
        )
        if self.use_bias:
            outputs = tf.nn.bias_add(outputs, tf.convert_to_tensor(self.bias))
        shape = tf.concat([tf.shape(inputs)[:-1], [self.units]], axis=0)
        outputs = tf.ensure_shape(
            tf.reshape(outputs, shape), [*inputs.shape[:-1], self.units]
        )
        return outputs if self.activation is None else self.activation(outputs)


@tf.custom_gradient
def _product(
    inputs: tf.Tensor, kernel: tf.Tensor
) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]]:
    def gradients(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        of_inputs = tf.linalg.matmul(kernel, tf.transpose(upstream))
        of_kernel = tf.linalg.matmul(inputs, upstream, transpose_a=True)
        return tf.transpose(of_inputs), of_kernel

    return tf.linalg.matmul(inputs, kernel), gradients
