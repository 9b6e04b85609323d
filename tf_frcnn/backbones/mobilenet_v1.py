"""MobileNet v1: up to the 11th separable convolution, the last two as the head.

Source: Howard et al. 2017, table 1; tf-faster-rcnn:lib/nets/mobilenet_v1.py.
"""

import functools

import keras

from tf_frcnn.backbones.backbone import Backbone
from tf_frcnn.backbones.convolution import Style, normalize
from tf_frcnn.backbones.imagenet import imagenet_application

# Output channels of the separable convolutions 1 to 13, and those that halve the map.
# The 12th does not: as the head it keeps the size of the pooled RoI.
_CHANNELS = (64, 128, 128, 256, 256, *[512] * 6, 1024, 1024)
_HALVING = (2, 4, 6)
_LAST_OF_BACKBONE = 11
_EPSILON = 1e-3


def mobilenet_v1_c4(width: float = 1.0, *, symmetric: bool = False) -> Backbone:
    """Returns MobileNet v1 with a backbone of stride 16.

    Args:
        width: multiplies all channels; 0.25, 0.5, 0.75 or 1.
        symmetric: whether a convolution with a stride pads equally on all sides, as in
            tf-faster-rcnn. The ImageNet weights were trained with padding "same", which
            for even sides pads at the end only.
    """
    suffix = "" if width == 1.0 else f"_{round(100 * width):03d}"
    name = f"mobilenet_v1{suffix}_c4{'_slim' if symmetric else ''}"
    imagenet = functools.partial(imagenet_application, "MobileNet", alpha=width)
    return Backbone(
        functools.partial(build_backbone, width=width, symmetric=symmetric, name=name),
        strides=(16,),
        image_mode="unit",
        num_blocks=4,
        has_normalization=True,
        build_tail=functools.partial(build_tail, width=width),
        imagenet=None if symmetric else imagenet,
    )


def build_backbone(
    frozen_blocks: int = 2,
    normalization: str = "frozen_batch",
    *,
    width: float = 1.0,
    symmetric: bool = False,
    name: str = "mobilenet_v1_c4",
) -> keras.Model:
    """Builds the backbone: float [B, H, W, 3] -> float [B, H / 16, W / 16, 512 width].

    Layers are named as in `keras.applications`. Odd sides are rounded up whenever they
    are halved.

    Args:
        frozen_blocks: of four, those whose weights stay fixed; a block ends before the
            map is halved again.
        normalization: of `Style`.
        width: multiplies all channels.
        symmetric: see `mobilenet_v1_c4`.
        name: of the model.
    """
    style = Style(normalization, _EPSILON)
    block = 1
    images = keras.Input((None, None, 3), name="images")
    features, padding = _padded(images, 2, symmetric, "conv1")
    features = keras.layers.Conv2D(
        int(32 * width),
        3,
        2,
        padding,
        use_bias=False,
        kernel_initializer=_initial_weights(),
        trainable=frozen_blocks < block,
        name="conv1",
    )(features)
    features = _normalize_and_cut(features, style, frozen_blocks < block, "conv1")
    for number in range(1, _LAST_OF_BACKBONE + 1):
        stride = 2 if number in _HALVING else 1
        block += stride - 1
        trainable = block > frozen_blocks
        features = _separable(
            features, number, stride, width, symmetric, style, trainable
        )
    return keras.Model(images, features, name=name)


def build_tail(normalization: str = "frozen_batch", *, width: float) -> keras.Model:
    """Builds the last two convolutions: float [N, S, S, 512 w] -> [N, S, S, 1024 w]."""
    features = pooled = keras.Input((None, None, int(512 * width)), name="pooled")
    for number in (12, 13):
        style = Style(normalization, _EPSILON)
        features = _separable(features, number, 1, width, False, style, True)
    return keras.Model(pooled, features, name="conv12_13")


def _separable(features, number, stride, width, symmetric, style, trainable):
    """Applies a 3x3 convolution within each channel, then a 1x1 convolution."""
    features, padding = _padded(features, stride, symmetric, f"conv_dw_{number}")
    features = keras.layers.DepthwiseConv2D(
        3,
        stride,
        padding,
        use_bias=False,
        depthwise_initializer=_initial_weights(),
        trainable=trainable,
        name=f"conv_dw_{number}",
    )(features)
    features = _normalize_and_cut(features, style, trainable, f"conv_dw_{number}")
    features = keras.layers.Conv2D(
        int(_CHANNELS[number - 1] * width),
        1,
        use_bias=False,
        kernel_initializer=_initial_weights(),
        trainable=trainable,
        name=f"conv_pw_{number}",
    )(features)
    return _normalize_and_cut(features, style, trainable, f"conv_pw_{number}")


def _initial_weights():
    # An initializer repeats its values, so each layer has its own.
    return keras.initializers.TruncatedNormal(stddev=0.09)


def _padded(features, stride, symmetric, name):
    """Returns the map to convolve, and the convolution's own padding."""
    if stride == 1 or not symmetric:
        return features, "same"
    return keras.layers.ZeroPadding2D(1, name=f"{name}_pad")(features), "valid"


def _normalize_and_cut(features, style, trainable, name):
    """Applies normalisation and clips to 0..6."""
    features = normalize(features, style, trainable, name)
    return keras.layers.ReLU(6.0, name=f"{name}_relu")(features)
