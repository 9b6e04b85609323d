"""MobileNetV3-Large with a feature pyramid, as in torchvision's detector.

Source: Howard et al. 2019 (Searching for MobileNetV3), table 1 and section 5;
    torchvision:models/mobilenetv3.py and models/detection/faster_rcnn.py,
    `fasterrcnn_mobilenet_v3_large_fpn`.
"""

from typing import NamedTuple

import keras

from tf_frcnn.backbones.convolution import Style, convolve, normalize
from tf_frcnn.backbones.feature_pyramid import feature_pyramid


class Block(NamedTuple):
    """An inverted residual block.

    Attributes:
        size: rows and columns of the depthwise kernel.
        inner: channels of the depthwise convolution.
        outer: output channels of the block.
        squeezed: channels between the layers of squeeze and excitation, 0 for none.
        activation: after all convolutions but the last.
        stride: of the depthwise convolution.
    """

    size: int
    inner: int
    outer: int
    squeezed: int
    activation: str
    stride: int = 1


STEM_CHANNELS, _LAST_CHANNELS = 16, 960
_SWISH = "hard_swish"
BLOCKS = (
    Block(3, 16, 16, 0, "relu"),
    Block(3, 64, 24, 0, "relu", 2),
    Block(3, 72, 24, 0, "relu"),
    Block(5, 72, 40, 24, "relu", 2),
    Block(5, 120, 40, 32, "relu"),
    Block(5, 120, 40, 32, "relu"),
    Block(3, 240, 80, 0, _SWISH, 2),
    Block(3, 200, 80, 0, _SWISH),
    Block(3, 184, 80, 0, _SWISH),
    Block(3, 184, 80, 0, _SWISH),
    Block(3, 480, 112, 120, _SWISH),
    Block(3, 672, 112, 168, _SWISH),
    Block(5, 672, 160, 168, _SWISH, 2),
    Block(5, 960, 160, 240, _SWISH),
    Block(5, 960, 160, 240, _SWISH),
)
# Of torchvision's `features`, those that begin a stage, which are frozen together. The
# pyramid has the maps of the last two.
_STAGE_STARTS = (0, 2, 4, 7, 13, 16)


def mobilenet_v3_large_fpn(
    frozen_blocks: int = 3, normalization: str = "frozen_batch"
) -> keras.Model:
    """Builds the pyramid: float [B, H, W, 3] -> three float [B, h, w, 256].

    The strides are 32, 32 and 64. Odd sides are rounded up whenever they are halved.
    Squeeze and excitation takes means over the whole canvas.

    Args:
        frozen_blocks: of six stages, those whose weights stay fixed; the pyramid's
            never do. All but the first and the last begin where the map is halved.
        normalization: of `Style`; the pyramid has none.
    """
    style = Style(normalization)
    free = [
        sum(index >= start for start in _STAGE_STARTS) > frozen_blocks
        for index in range(len(BLOCKS) + 2)
    ]
    images = keras.Input((None, None, 3), name="images")
    features = _convolve(images, STEM_CHANNELS, 3, 2, style, free[0], "features0")
    maps = []
    for index, block in enumerate(BLOCKS, start=1):
        features = _residual(features, block, style, free[index], f"features{index}")
        maps.append(features)
    last = len(BLOCKS) + 1
    features = _convolve(
        features, _LAST_CHANNELS, 1, 1, style, free[last], f"features{last}"
    )
    pyramid = feature_pyramid(
        [maps[_STAGE_STARTS[-2] - 1], features], 256, first_level=5, extra_level=True
    )
    return keras.Model(images, pyramid, name="mobilenet_v3_large_fpn")


def _convolve(features, channels, size, stride, style, trainable, name):
    """Applies a convolution, its normalisation and a hard swish."""
    features = convolve(
        features,
        channels,
        size,
        stride=stride,
        style=style,
        trainable=trainable,
        name=name,
    )
    return keras.layers.Activation(_SWISH, name=f"{name}_act")(features)


def _residual(features, block, style, trainable, name):
    """Widens, filters each channel, weighs the channels, narrows and adds the input."""
    common = {"style": style, "trainable": trainable}
    found = features
    if block.inner != features.shape[-1]:
        found = convolve(found, block.inner, 1, name=f"{name}_expand", **common)
        found = keras.layers.Activation(block.activation, name=f"{name}_expand_act")(
            found
        )
    found = _depthwise(found, block, name=f"{name}_depthwise", **common)
    found = keras.layers.Activation(block.activation, name=f"{name}_depthwise_act")(
        found
    )
    if block.squeezed:
        found = _squeeze_and_excite(found, block.squeezed, trainable, f"{name}_squeeze")
    found = convolve(found, block.outer, 1, name=f"{name}_project", **common)
    if block.outer != features.shape[-1]:  # as in every block with a stride
        return found
    return keras.layers.Add(name=f"{name}_add")([features, found])


def _depthwise(features, block, *, style, trainable, name):
    """Applies a convolution within each channel, padded equally on all sides."""
    padding = "same"
    if block.stride > 1:
        padding = "valid"
        pad = keras.layers.ZeroPadding2D(block.size // 2, name=f"{name}_pad")
        features = pad(features)
    features = keras.layers.DepthwiseConv2D(
        block.size,
        block.stride,
        padding,
        use_bias=False,
        depthwise_initializer="he_normal",
        trainable=trainable,
        name=f"{name}_conv",
    )(features)
    return normalize(features, style, trainable, name)


def _squeeze_and_excite(features, squeezed, trainable, name):
    """Multiplies each channel by a weight that two layers compute from all means."""
    # Half precision would lose cells of the mean.
    scales = keras.layers.GlobalAveragePooling2D(
        keepdims=True, dtype="float32", name=f"{name}_mean"
    )(features)
    for part, units, activation in (
        ("reduce", squeezed, "relu"),
        ("expand", features.shape[-1], "hard_sigmoid"),
    ):
        scales = keras.layers.Conv2D(
            units,
            1,
            activation=activation,
            kernel_initializer="he_normal",
            trainable=trainable,
            name=f"{name}_{part}",
        )(scales)
    return keras.layers.Multiply(name=f"{name}_scale")([features, scales])
