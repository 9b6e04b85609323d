"""The feature pyramid: coarse maps are brought down and added to finer ones."""

from collections.abc import Sequence

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("tf_frcnn")
class TopDownSum(keras.layers.Layer):
    """Adds a coarse map, each cell repeated 2x2, to the next finer one.

    Where the finer map has an odd side, the last repetition is cut off; this equals
    nearest-neighbour interpolation to the finer map's size.
    """

    def call(self, finer, coarser):
        """Computes float [B, h, w, C] from [B, h, w, C] and [B, h / 2, w / 2, C].

        The halves are rounded up.
        """
        shape = tf.shape(finer)
        repeated = tf.repeat(tf.repeat(coarser, 2, axis=1), 2, axis=2)
        return finer + repeated[:, : shape[1], : shape[2]]

    def compute_output_shape(self, finer_shape, coarser_shape):
        """Returns the shape of the finer map."""
        return finer_shape


def feature_pyramid(
    maps: Sequence, channels: int, *, first_level: int, extra_level: bool = False
) -> list:
    """Builds the pyramid's maps, finest first.

    Args:
        maps: symbolic float [B, h, w, C] of a trunk, finest first, each half as large
            as the one before.
        channels: of every map of the pyramid.
        first_level: the number of the finest level in the layers' names; 2 at stride 4.
        extra_level: whether every other cell of the coarsest map makes a level more.

    Returns:
        Symbolic float [B, h, w, channels], one per map and one for the extra level.

    Source: Lin et al. 2017, section 3;
        torchvision:ops/feature_pyramid_network.py (layers, initial weights).
    """
    levels = range(first_level, first_level + len(maps))
    laterals = [
        _convolution(channels, 1, f"fpn_lateral{level}")(features)
        for level, features in zip(levels, maps, strict=True)
    ]
    summed = laterals[-1:]
    for level, lateral in zip(levels[-2::-1], laterals[-2::-1], strict=True):
        summed.insert(0, TopDownSum(name=f"fpn_sum{level}")(lateral, summed[0]))
    pyramid = [
        _convolution(channels, 3, f"fpn_output{level}")(features)
        for level, features in zip(levels, summed, strict=True)
    ]
    if extra_level:
        every_other = keras.layers.MaxPooling2D(1, 2, name=f"fpn_pool{levels.stop}")
        pyramid.append(every_other(pyramid[-1]))
    return pyramid


def _convolution(channels, size, name):
    # The variance of torchvision's initial weights.
    return keras.layers.Conv2D(
        channels,
        size,
        padding="same",
        kernel_initializer="lecun_uniform",
        name=name,
    )
