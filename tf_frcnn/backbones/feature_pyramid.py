"""The feature pyramid: coarse maps are enlarged and added to finer ones."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from tf_frcnn.backbones.convolution import Style, normalize
from tf_frcnn.layers.max_pooling import MaxPooling2D
from tf_frcnn.layers.sparse_convolution import SparselyUsedConv2D


@keras.saving.register_keras_serializable("tf_frcnn")
class TopDownSum(keras.layers.Layer):
    """Adds a coarse map, each cell repeated, to a finer one of 1 or 2 times its size.

    Where the finer map has an odd side, the last repetition is cut off; this equals
    nearest-neighbour interpolation to the finer map's size.
    """

    def call(self, finer, coarser):
        """Computes float [B, h, w, C] from [B, h, w, C] and [B, h', w', C].

        h' is h, or h / 2 rounded up; w' likewise.
        """
        shape, coarse_shape = tf.shape(finer), tf.shape(coarser)
        repeated = coarser
        for axis in (1, 2):
            times = -(-shape[axis] // coarse_shape[axis])
            repeated = tf.repeat(repeated, times, axis=axis)
        return finer + repeated[:, : shape[1], : shape[2]]

    def compute_output_shape(self, finer_shape, coarser_shape):
        """Returns the shape of the finer map."""
        return finer_shape


def feature_pyramid(
    maps: Sequence,
    channels: int,
    *,
    first_level: int,
    extra_level: bool = False,
    style: Style | None = None,
) -> list:
    """Builds the pyramid's maps, finest first.

    Args:
        maps: symbolic float [B, h, w, C] of a backbone, finest first, each half as
            large as the one before, or equally large.
        channels: of every map of the pyramid.
        first_level: the number of the finest level in the layers' names; 2 at stride 4.
        extra_level: whether every other cell of the coarsest map forms one more level.
        style: of the normalisation that follows each convolution, which then has no
            bias; None for biases and no normalisation.

    Returns:
        Symbolic float [B, h, w, channels], one per map and one for the extra level.

    Source: Lin et al. 2017, section 3;
        torchvision:ops/feature_pyramid_network.py (layers, initial weights).
    """
    levels = range(first_level, first_level + len(maps))
    laterals = [
        _convolve(features, channels, 1, style, f"fpn_lateral{level}")
        for level, features in zip(levels, maps, strict=True)
    ]
    summed = laterals[-1:]
    for level, lateral in zip(levels[-2::-1], laterals[-2::-1], strict=True):
        summed.insert(0, TopDownSum(name=f"fpn_sum{level}")(lateral, summed[0]))
    pyramid = [
        _convolve(features, channels, 3, style, f"fpn_output{level}")
        for level, features in zip(levels, summed, strict=True)
    ]
    if extra_level:
        every_other = MaxPooling2D(1, 2, name=f"fpn_pool{levels.stop}")
        pyramid.append(every_other(pyramid[-1]))
    return pyramid


def _convolve(features, channels, size, style, name):
    # A normalisation would spread the gradient over all cells.
    convolution = SparselyUsedConv2D if style is None else keras.layers.Conv2D
    # The variance of torchvision's initial weights.
    features = convolution(
        channels,
        size,
        padding="same",
        use_bias=style is None,
        kernel_initializer="lecun_uniform",
        name=name,
    )(features)
    return features if style is None else normalize(features, style, True, name)
