"""Turns RGB pictures of 0..255 into what a trunk was trained on."""

import keras
import tensorflow as tf

_CAFFE_MEANS_BGR = (103.939, 116.779, 123.68)


@keras.saving.register_keras_serializable("tf_frcnn")
class ImageNormalization(keras.layers.Layer):
    """Normalises pictures and sets what lies beyond each picture to zero.

    Args:
        mode: "caffe" gives BGR minus the ImageNet means, the input of the VGG16 and
            ResNet weights of the caffe line and of `keras.applications`; "unit" gives
            RGB scaled to -1..1.
    """

    def __init__(self, mode: str = "caffe", **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        if mode not in ("caffe", "unit"):
            raise ValueError(
                f'ImageNormalization: mode = {mode!r} must be "caffe" or "unit".'
            )
        self.mode = mode

    def call(self, images, image_sizes):
        """Normalises a batch.

        Args:
            images: float32 [B, H, W, 3], RGB, 0..255.
            image_sizes: float32 [B, 2], (height, width) of each picture in pixels.

        Returns:
            float32 [B, H, W, 3], zero beyond the picture.
        """
        if self.mode == "caffe":
            normalised = images[..., ::-1] - tf.constant(_CAFFE_MEANS_BGR)
        else:
            normalised = images / 127.5 - 1.0
        rows = tf.cast(tf.range(tf.shape(images)[1]), tf.float32) < image_sizes[:, :1]
        columns = tf.cast(tf.range(tf.shape(images)[2]), tf.float32)
        columns = columns < image_sizes[:, 1:]
        inside = rows[:, :, tf.newaxis] & columns[:, tf.newaxis, :]
        return tf.where(inside[..., tf.newaxis], normalised, 0.0)

    def get_config(self):
        """Returns the constructor's arguments."""
        return super().get_config() | {"mode": self.mode}
