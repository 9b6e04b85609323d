"""A convolution with its normalisation, the unit of the larger backbones."""

from typing import NamedTuple

import keras
import tensorflow as tf

from tf_frcnn.layers.normalization import normalization_layer


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
    """`Conv2D` whose groups are convolved one by one.

    On a CPU, the gradient of TensorFlow's grouped convolution takes 20 to 90 times as
    long as this.
    """

    def convolution_op(self, inputs, kernel):
        """Convolves float [B, h, w, C] with float [k, k, C / groups, C2]."""
        parts = zip(
            tf.split(inputs, self.groups, axis=-1),
            tf.split(kernel, self.groups, axis=-1),
            strict=True,
        )
        padding = self.padding.upper()
        return tf.concat(
            [tf.nn.conv2d(*part, self.strides, padding) for part in parts], axis=-1
        )


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
    layer = keras.layers.Conv2D if groups == 1 else GroupedConv2D
    features = layer(
        channels,
        size,
        stride,
        padding,
        groups=groups,
        use_bias=style.use_bias,
        kernel_initializer="he_normal",
        trainable=trainable,
        name=f"{name}_conv",
    )(features)
    return normalize(features, style, trainable, name)


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
