"""Turns RGB pictures of 0..255 into what a trunk was trained on."""

import keras
import tensorflow as tf

_CAFFE_MEANS_BGR = (103.939, 116.779, 123.68)
_TORCH_MEANS = (0.485, 0.456, 0.406)
_TORCH_STDS = (0.229, 0.224, 0.225)
_MODES = ("caffe", "torch", "unit", "raw")


@keras.saving.register_keras_serializable("tf_frcnn")
class ImageNormalization(keras.layers.Layer):
    """Normalises pictures and sets what lies beyond each picture to zero.

    Args:
        mode: "caffe" gives BGR minus the ImageNet means, the input of the VGG16 and
            ResNet weights of the caffe line and of `keras.applications`; "torch" gives
            RGB of 0..1 minus the ImageNet means, divided by the deviations, the input
            of torchvision's weights; "unit" gives RGB scaled to -1..1; "raw" keeps
            RGB of 0..255, for a trunk that normalises by itself.
    """

    def __init__(self, mode: str = "caffe", **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        if mode not in _MODES:
            raise ValueError(
                f"ImageNormalization: mode = {mode!r} must be one of "
                f"{', '.join(_MODES)}."
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
        rows = tf.cast(tf.range(tf.shape(images)[1]), tf.float32) < image_sizes[:, :1]
        columns = tf.cast(tf.range(tf.shape(images)[2]), tf.float32)
        columns = columns < image_sizes[:, 1:]
        inside = rows[:, :, tf.newaxis] & columns[:, tf.newaxis, :]
        return tf.where(inside[..., tf.newaxis], self._normalised(images), 0.0)

    def get_config(self):
        """Returns the constructor's arguments."""
        return super().get_config() | {"mode": self.mode}

    def _normalised(self, images):
        if self.mode == "caffe":
            return images[..., ::-1] - tf.constant(_CAFFE_MEANS_BGR)
        if self.mode == "torch":
            return (images / 255.0 - tf.constant(_TORCH_MEANS)) / _TORCH_STDS
        if self.mode == "unit":
            return images / 127.5 - 1.0
        return images
