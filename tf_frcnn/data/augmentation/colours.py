"""Random changes of an image's colours."""

import tensorflow as tf

from tf_frcnn.data.augmentation.draws import around_one, split_seed, uniform
from tf_frcnn.data.augmentation.plan import Augmentation

# Of red, green and blue in the grey of a pixel. Source: ITU-R BT.601.
_LUMA = (0.299, 0.587, 0.114)


def change_colours(
    image: tf.Tensor, augmentation: Augmentation, seed: tf.Tensor
) -> tf.Tensor:
    """Changes brightness, contrast, saturation, hue, then whether there are colours.

    Args:
        image: float32 [h, w, 3], RGB, 0..255.
        augmentation: how much; what is 0 changes nothing.
        seed: int64 [2].

    Returns:
        The same shape, type and range.

    Source: torchvision:transforms, ColorJitter, for the first four, there in random
        order; faster-rcnn-pytorch (bubbliiiing):utils/dataloader.py for `hsv`, there
        in steps of OpenCV's whole numbers.
    """
    seeds = split_seed(seed, 6)
    if augmentation.brightness:
        image = _clipped(image * around_one(seeds[0], augmentation.brightness))
    if augmentation.contrast:
        factor = around_one(seeds[1], augmentation.contrast)
        image = _away_from(tf.reduce_mean(_grey(image)), image, factor)
    if augmentation.saturation:
        factor = around_one(seeds[2], augmentation.saturation)
        image = _away_from(_grey(image), image, factor)
    if augmentation.hue:
        shift = uniform(seeds[3], -augmentation.hue, augmentation.hue)
        image = _clipped(tf.image.adjust_hue(image / 255.0, shift) * 255.0)
    if any(augmentation.hsv):
        image = _times_hsv(image, augmentation.hsv, seeds[4])
    if augmentation.grey:
        is_grey = uniform(seeds[5]) < augmentation.grey
        image = tf.where(is_grey, _grey(image), image)
    return image


def _times_hsv(image, gains, seed):
    """Multiplies hue, saturation and value."""
    hsv = tf.image.rgb_to_hsv(image / 255.0)
    seeds = split_seed(seed, 3)
    factors = [around_one(*pair) for pair in zip(seeds, gains, strict=True)]
    hue, saturation, value = tf.unstack(hsv * tf.stack(factors), axis=2)
    hsv = tf.stack(
        [hue % 1.0, tf.minimum(saturation, 1.0), tf.minimum(value, 1.0)], axis=2
    )
    return _clipped(tf.image.hsv_to_rgb(hsv) * 255.0)


def _away_from(centre, image, factor):
    return _clipped(centre + factor * (image - centre))


def _grey(image):
    """Returns float32 [h, w, 1]."""
    return tf.reduce_sum(image * tf.constant(_LUMA), axis=2, keepdims=True)


def _clipped(image):
    return tf.clip_by_value(image, 0.0, 255.0)
