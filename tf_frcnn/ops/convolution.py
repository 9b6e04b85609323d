"""Convolution of maps whose channels form groups."""

from collections.abc import Sequence

import tensorflow as tf


def convolve_groups(
    features: tf.Tensor,
    kernel: tf.Tensor,
    strides: Sequence[int],
    padding: str,
    groups: int,
) -> tf.Tensor:
    """Convolves groups of channels one by one.

    On a CPU, the gradient of TensorFlow's grouped convolution takes 20 to 90 times as
    long as this.

    Args:
        features: float [B, h, w, C].
        kernel: float [k, k, C / groups, C2].
        strides: along y and x.
        padding: "same" or "valid".
        groups: their number.

    Returns:
        float [B, h', w', C2].
    """
    parts = zip(
        tf.split(features, groups, axis=-1),
        tf.split(kernel, groups, axis=-1),
        strict=True,
    )
    found = [tf.nn.conv2d(*part, strides, padding.upper()) for part in parts]
    return tf.concat(found, axis=-1) if len(found) > 1 else found[0]
