"""ResNet-50, -101 and -152: up to conv4 with conv5 as the head, and with a pyramid.

Source: He et al. 2015 (Deep residual learning), table 1 and appendix A.
"""

import functools
from typing import Any, NamedTuple

import keras

from tf_frcnn.backbones.backbone import Backbone
from tf_frcnn.backbones.bottleneck import Stage, bottleneck_stage
from tf_frcnn.backbones.convolution import Style, convolve
from tf_frcnn.backbones.feature_pyramid import feature_pyramid
from tf_frcnn.backbones.imagenet import imagenet_application
from tf_frcnn.layers.max_pooling import MaxPooling2D

UNITS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


class Variant(NamedTuple):
    """The properties in which the published ResNets differ.

    Attributes:
        stride_at: of `bottleneck_stage`.
        stage_strides: of conv2 to conv5.
        epsilon: of the batch normalisation.
        use_bias: whether the convolutions have a bias.
        pool1_padding: rows and columns of zeros before and after the map that is pooled
            after conv1.
    """

    stride_at: str
    stage_strides: tuple[int, int, int, int]
    epsilon: float = 1e-5
    use_bias: bool = False
    pool1_padding: tuple[int, int] = (1, 1)


# As first published by MSRA; its weights are those of keras.applications. conv5 keeps
# the size of the pooled RoI, as in tf-faster-rcnn:lib/nets/resnet_v1.py.
KERAS = Variant("first_1x1", (1, 2, 2, 1), 1.001e-5, True)
# tf-slim's, as tf-faster-rcnn:lib/nets/resnet_v1.py sets it up: each stage halves the
# map at its end.
SLIM = Variant("last_3x3", (2, 2, 1, 1))
# torchvision:models/resnet.py.
TORCHVISION = Variant("first_3x3", (1, 2, 2, 2))
# bubbliiiing/faster-rcnn-pytorch:nets/resnet50.py. The pooling counts a window that
# extends beyond the end (ceil_mode), as it does with a zero after the map.
BUBBLIIIING = Variant("first_1x1", (1, 2, 2, 2), pool1_padding=(0, 1))


def resnet_c4(num_layers: int, variant: Variant = KERAS) -> Backbone:
    """Returns ResNet with the backbone conv1 to conv4 and the tail conv5.

    Args:
        num_layers: 50, 101 or 152.
        variant: `KERAS`, for which there are ImageNet weights, `SLIM` or
            `BUBBLIIIING`.
    """
    suffix = {SLIM: "_slim", BUBBLIIIING: "_bubbliiiing"}.get(variant, "")
    settings: dict[str, Any] = {"num_layers": num_layers, "variant": variant}
    imagenet = functools.partial(imagenet_application, f"ResNet{num_layers}")
    return Backbone(
        functools.partial(build_c4, name=f"resnet{num_layers}_c4{suffix}", **settings),
        strides=(16,),
        image_mode="scaled" if variant is BUBBLIIIING else "caffe",
        num_blocks=4,
        has_normalization=True,
        build_tail=functools.partial(build_conv5, **settings),
        imagenet=imagenet if variant is KERAS else None,
    )


def resnet_fpn(num_layers: int, *, normalized: bool = False) -> Backbone:
    """Returns torchvision's ResNet with a pyramid of the levels P2 to P6.

    Args:
        num_layers: 50, 101 or 152.
        normalized: see `build_fpn`.
    """
    return Backbone(
        functools.partial(build_fpn, num_layers=num_layers, normalized=normalized),
        strides=(4, 8, 16, 32, 64),
        image_mode="torch",
        num_blocks=5,
        has_normalization=True,
        num_roi_levels=4,
    )


def build_c4(
    frozen_blocks: int = 2,
    normalization: str = "frozen_batch",
    *,
    num_layers: int,
    variant: Variant,
    name: str,
) -> keras.Model:
    """Builds conv1 to conv4: float [B, H, W, 3] -> float [B, H / 16, W / 16, 1024].

    Odd sides are rounded up whenever they are halved, except that the pooling of
    `BUBBLIIIING` rounds them down.

    Args:
        frozen_blocks: of conv1 to conv4, those whose weights stay fixed.
        normalization: of `Style`.
        num_layers: 50, 101 or 152.
        variant: see `Variant`.
        name: of the model.
    """
    images = keras.Input((None, None, 3), name="images")
    maps = _stages(images, num_layers, variant, 4, frozen_blocks, normalization)
    return keras.Model(images, maps[-1], name=name)


def build_conv5(
    normalization: str = "frozen_batch", *, num_layers: int, variant: Variant
) -> keras.Model:
    """Builds conv5 for RoIs: float [N, S, S, 1024] -> float [N, s, s, 2048].

    s is S, but for `BUBBLIIIING` half of it, rounded up.
    """
    pooled = keras.Input((None, None, 1024), name="pooled")
    features = _stage(pooled, 5, num_layers, variant, normalization, True)
    return keras.Model(pooled, features, name="conv5")


def build_fpn(
    frozen_blocks: int = 2,
    normalization: str = "frozen_batch",
    *,
    num_layers: int,
    normalized: bool = False,
) -> keras.Model:
    """Builds the pyramid P2 to P6: float [B, H, W, 3] -> five float [B, h, w, 256].

    Args:
        frozen_blocks: of conv1 to conv5, those whose weights stay fixed; the pyramid's
            never do.
        normalization: of `Style`.
        num_layers: 50, 101 or 152.
        normalized: whether the pyramid is normalised as well, as in version 2 of
            torchvision's detector. There its batch normalisations learn; here they are
            fixed like all others.

    Source: Lin et al. 2017, section 4.1; torchvision:models/detection/faster_rcnn.py,
        `fasterrcnn_resnet50_fpn` and `fasterrcnn_resnet50_fpn_v2`.
    """
    images = keras.Input((None, None, 3), name="images")
    maps = _stages(images, num_layers, TORCHVISION, 5, frozen_blocks, normalization)
    style = Style(normalization, TORCHVISION.epsilon) if normalized else None
    pyramid = feature_pyramid(maps, 256, first_level=2, extra_level=True, style=style)
    suffix = "_v2" if normalized else ""
    return keras.Model(images, pyramid, name=f"resnet{num_layers}_fpn{suffix}")


def _stages(images, num_layers, variant, last, frozen_blocks, normalization):
    """Returns the maps of conv2 to conv{last}."""
    features = convolve(
        images,
        64,
        7,
        stride=2,
        style=Style(normalization, variant.epsilon, variant.use_bias),
        trainable=frozen_blocks < 1,
        name="conv1",
    )
    features = keras.layers.ReLU(name="conv1_relu")(features)
    # The pooled values are positive, so zeros beyond the map are never the largest.
    padding = (variant.pool1_padding, variant.pool1_padding)
    features = keras.layers.ZeroPadding2D(padding, name="pool1_pad")(features)
    features = MaxPooling2D(3, 2, name="pool1_pool")(features)
    maps = []
    for number in range(2, last + 1):
        trainable = number > frozen_blocks
        features = _stage(
            features, number, num_layers, variant, normalization, trainable
        )
        maps.append(features)
    return maps


def _stage(features, number, num_layers, variant, normalization, trainable):
    """Applies conv{number}, one of conv2 to conv5."""
    inner = 64 * 2 ** (number - 2)
    stage = Stage(
        UNITS[num_layers][number - 2],
        inner,
        4 * inner,
        variant.stage_strides[number - 2],
    )
    return bottleneck_stage(
        features,
        stage,
        stride_at=variant.stride_at,
        style=Style(normalization, variant.epsilon, variant.use_bias),
        trainable=trainable,
        name=f"conv{number}",
    )
