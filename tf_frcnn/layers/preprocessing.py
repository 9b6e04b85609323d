"""The preprocessing that a model owns: its images' size and range of values."""

from typing import NamedTuple

import keras
import tensorflow as tf

from tf_frcnn.config import ImageSettings, settings_config


class _Mode(NamedTuple):
    """Pixels become (pixels - means) / divisors, channel by channel.

    Attributes:
        is_bgr: whether the channels are reversed first.
        means: of the channels as they then are, 0..255.
        divisors: of the channels.
    """

    is_bgr: bool = False
    means: tuple[float, ...] = (0.0, 0.0, 0.0)
    divisors: tuple[float, ...] = (1.0, 1.0, 1.0)


_MODES = {
    "caffe": _Mode(True, (103.939, 116.779, 123.68)),
    "chainer": _Mode(True, (122.7717, 115.9465, 102.9801)),
    "fast_rcnn": _Mode(True, (102.9801, 115.9465, 122.7717)),
    "raw": _Mode(),
    "scaled": _Mode(divisors=(255.0, 255.0, 255.0)),
    "torch": _Mode(
        means=(255 * 0.485, 255 * 0.456, 255 * 0.406),
        divisors=(255 * 0.229, 255 * 0.224, 255 * 0.225),
    ),
    "unit": _Mode(means=(127.5, 127.5, 127.5), divisors=(127.5, 127.5, 127.5)),
}


@keras.saving.register_keras_serializable("tf_frcnn")
class Preprocessing(keras.layers.Layer):
    """Normalises images and sets the pixels beyond each image to zero.

    It also keeps how files become such images: `images` says to which size they are
    scaled and on which canvas they are placed, which exports and the demo read.

    The mode "caffe" gives BGR minus the ImageNet means, the input of the VGG16 and
    ResNet weights of the caffe line and of `keras.applications`; "fast_rcnn" BGR minus
    the means that the detectors of the caffe line subtract; "chainer" the same in the
    order of RGB, as simple-faster-rcnn-pytorch has them; "torch" RGB of 0..1 minus the
    ImageNet means, divided by the deviations, the input of torchvision's weights;
    "scaled" RGB of 0..1; "unit" RGB of -1..1; "raw" keeps RGB of 0..255, for a backbone
    that normalises by itself.

    Args:
        images: `ImageSettings`, with a mode.

    Source: py-faster-rcnn:lib/fast_rcnn/config.py (PIXEL_MEANS) for "fast_rcnn";
        simple-faster-rcnn-pytorch:data/dataset.py for "chainer", whose means are
        those of RGB while the image is BGR already; faster-rcnn-pytorch
        (bubbliiiing):utils/utils.py for "scaled".
    """

    def __init__(self, images: ImageSettings | dict, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.images = ImageSettings.of(images)
        if self.images.mode is None:
            raise ValueError(
                f"Preprocessing: images.mode = null must be one of {', '.join(_MODES)}."
            )

    def call(self, images, image_sizes):
        """Normalises a batch.

        Args:
            images: float32 [B, H, W, 3], RGB, 0..255.
            image_sizes: float32 [B, 2], (height, width) of each image in pixels.

        Returns:
            float32 [B, H, W, 3], zero beyond the image.
        """
        rows = tf.cast(tf.range(tf.shape(images)[1]), tf.float32) < image_sizes[:, :1]
        columns = tf.cast(tf.range(tf.shape(images)[2]), tf.float32)
        columns = columns < image_sizes[:, 1:]
        inside = rows[:, :, tf.newaxis] & columns[:, tf.newaxis, :]
        # __init__ has seen that there is a mode.
        is_bgr, means, divisors = _MODES[self.images.mode]  # type: ignore[index]
        images = images[..., ::-1] if is_bgr else images
        normalised = (images - tf.constant(means)) / tf.constant(divisors)
        return tf.where(inside[..., tf.newaxis], normalised, 0.0)

    def get_config(self):
        """Returns the constructor's arguments."""
        return super().get_config() | settings_config(images=self.images)
