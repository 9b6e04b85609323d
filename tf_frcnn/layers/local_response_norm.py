"""Local response normalisation within a channel, as in caffe."""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("tf_frcnn")
class LocalResponseNormalization(keras.layers.Layer):
    """Divides each value by a power of the mean square around it in its channel.

    `y = x * (1 + alpha * mean(x^2))^-beta`, the mean taken over the size x size cells
    around `x`. Cells beyond the map are zero and count.

    Args:
        size: rows and columns of the neighbourhood; odd.
        alpha: weight of the mean square.
        beta: the exponent.

    Source: Krizhevsky et al. 2012, section 3.3, for the idea; caffe's LRN layer with
        `norm_region: WITHIN_CHANNEL`, and its numbers in
        py-faster-rcnn:models/pascal_voc/ZF/faster_rcnn_end2end/test.prototxt.
    """

    def __init__(
        self, size: int = 3, *, alpha: float = 5e-5, beta: float = 0.75, **kwargs
    ):
        super().__init__(**kwargs)
        if size < 1 or size % 2 == 0:
            raise ValueError(
                f"LocalResponseNormalization: size = {size} must be odd and positive."
            )
        self.size, self.alpha, self.beta = size, alpha, beta

    def call(self, features):
        """Normalises float [B, h, w, C], in float32: alpha is too small for less."""
        values = tf.cast(features, tf.float32)
        around = [self.size // 2] * 2
        # Padded by hand: the op's own padding is left out of the mean.
        squares = tf.pad(values**2, [[0, 0], around, around, [0, 0]])
        mean_squares = tf.nn.avg_pool2d(squares, self.size, 1, "VALID")
        normalised = values * (1.0 + self.alpha * mean_squares) ** -self.beta
        return tf.cast(normalised, features.dtype)

    def compute_output_shape(self, input_shape):
        """Returns the shape of the input."""
        return input_shape

    def get_config(self):
        """Returns the constructor's arguments."""
        own = {"size": self.size, "alpha": self.alpha, "beta": self.beta}
        return super().get_config() | own
