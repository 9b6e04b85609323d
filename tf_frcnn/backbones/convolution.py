"""A convolution with its normalisation, the unit of the larger backbones."""

from typing import NamedTuple

import keras

from tf_frcnn.layers.folded_normalization import (
    DeferredConv2D,
    FoldedBatchNormalization,
)
from tf_frcnn.layers.normalization import normalization_layer
from tf_frcnn.ops.convolution import convolve_groups


class Style(NamedTuple):
    """The properties that all convolutions of a network share.

    Attributes:
        normalization: of `normalization_layer`, "frozen_batch" or "group".
        epsilon: added to the variance.
        use_bias: whether normalised convolutions have a bias as well.
    """

    normalization: str
    epsilon: float = 1e-5
    use_bias: bool = False


@keras.saving.register_keras_serializable("tf_frcnn")
class GroupedConv2D(keras.layers.Conv2D):
    """`Conv2D` whose groups are convolved one by one; see `convolve_groups`."""

    def convolution_op(self, inputs, kernel):
        """Convolves float [B, h, w, C] with float [k, k, C / groups, C2]."""
        return convolve_groups(inputs, kernel, self.strides, self.padding, self.groups)


def convolve(
    features,
    channels: int,
    size: int,
    *,
    stride: int = 1,
    groups: int = 1,
    style: Style,
    trainable: bool,
    name: str,
):
    """Applies a convolution and its normalisation: [B, h, w, C] -> [B, h', w', C2].

    h' is h / stride, rounded up. The map is padded equally on all sides; with a stride,
    padding "same" does so for odd sides only.

    Args:
        features: symbolic float [B, h, w, C].
        channels: C2.
        size: rows and columns of the kernel, odd.
        stride: cells from one position of the kernel to the next.
        groups: number of groups that the channels form.
        style: of the network.
        trainable: whether the convolution, and a group normalisation, can learn.
        name: the layers are `{name}_pad`, `{name}_conv` and `{name}_bn` or
            `{name}_gn`, the first only with a stride.
    """
    padding = "same"
    if stride > 1 and size > 1:
        padding = "valid"
        features = keras.layers.ZeroPadding2D(size // 2, name=f"{name}_pad")(features)
    is_folded = style.normalization == "frozen_batch"
    plain = keras.layers.Conv2D if groups == 1 else GroupedConv2D
    convolution = (DeferredConv2D if is_folded else plain)(
        channels,
        size,
        stride,
        padding,
        groups=groups,
        use_bias=style.use_bias,
        kernel_initializer="he_normal",
        trainable=trainable,
        name=f"{name}_conv",
    )
    features = convolution(features)
    if not is_folded:
        return normalize(features, style, trainable, name)
    names = ("strides", "padding", "groups")
    folded = FoldedBatchNormalization(
        {argument: getattr(convolution, argument) for argument in names},
        epsilon=style.epsilon,
        name=f"{name}_bn",
    )
    return folded(features)


def normalize(features, style: Style, trainable: bool, name: str):
    """Applies the network's normalisation, in a layer `{name}_bn` or `{name}_gn`."""
    layer = normalization_layer(
        style.normalization,
        features.shape[-1],
        epsilon=style.epsilon,
        trainable=trainable,
        name=name,
    )
    return layer(features)
