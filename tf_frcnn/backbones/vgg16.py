"""The 13 convolutions of VGG16, up to conv5_3, alone or under a feature pyramid.

Source: Simonyan and Zisserman 2014, configuration D; Ren et al. 2015, section 3.
"""

import keras

from tf_frcnn.backbones.convolution import Style
from tf_frcnn.backbones.feature_pyramid import feature_pyramid
from tf_frcnn.layers.max_pooling import MaxPooling2D

_BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))


def vgg16(frozen_blocks: int = 2, normalization: str | None = None) -> keras.Model:
    """Builds the backbone: float [B, H, W, 3] -> float [B, H / 16, W / 16, 512].

    Layers are named as in `keras.applications`. A map whose sides are odd keeps its
    last row and column when it is halved, as caffe and tf-faster-rcnn do.

    Args:
        frozen_blocks: convolution blocks, from the first, whose weights stay fixed.
        normalization: without effect; VGG16 has none.
    """
    images, maps = _convolutions(frozen_blocks, "same")
    return keras.Model(images, maps[-1], name="vgg16")


def vgg16_floor(
    frozen_blocks: int = 2, normalization: str | None = None
) -> keras.Model:
    """Builds `vgg16` with a pooling that drops an odd side's last row or column.

    Args:
        frozen_blocks: convolution blocks, from the first, whose weights stay fixed.
        normalization: without effect; VGG16 has none.

    Source: torchvision:models/vgg.py;
        chenyuntc/simple-faster-rcnn-pytorch:model/faster_rcnn_vgg16.py;
        bubbliiiing/faster-rcnn-pytorch:nets/vgg16.py.
    """
    images, maps = _convolutions(frozen_blocks, "valid")
    return keras.Model(images, maps[-1], name="vgg16_floor")


def vgg16_fpn(frozen_blocks: int = 2, normalization: str | None = None) -> keras.Model:
    """Builds the pyramid P3 to P5: float [B, H, W, 3] -> three float [B, h, w, 256].

    P3 and P4 are of conv4_3 and conv5_3; P5 is every other cell of P4. The pyramid's
    convolutions have group normalisation (Wu and He 2018), because the two maps of
    VGG16, which has none, differ in size by an order of magnitude.

    Args:
        frozen_blocks: convolution blocks, from the first, whose weights stay fixed; the
            pyramid's never do.
        normalization: without effect.

    Source: Lin et al. 2017, section 3.
    """
    images, maps = _convolutions(frozen_blocks, "same")
    pyramid = feature_pyramid(
        maps[3:], 256, first_level=3, extra_level=True, style=Style("group")
    )
    return keras.Model(images, pyramid, name="vgg16_fpn")


def _convolutions(frozen_blocks, pool_padding):
    """Returns the symbolic images, and the maps at the ends of the five blocks."""
    images = features = keras.Input((None, None, 3), name="images")
    maps = []
    for block, (num_convs, channels) in enumerate(_BLOCKS, start=1):
        if block > 1:
            pool = MaxPooling2D(
                2, 2, padding=pool_padding, name=f"block{block - 1}_pool"
            )
            features = pool(features)
        for number in range(1, num_convs + 1):
            features = keras.layers.Conv2D(
                channels,
                3,
                padding="same",
                activation="relu",
                kernel_initializer="he_normal",
                trainable=block > frozen_blocks,
                name=f"block{block}_conv{number}",
            )(features)
        maps.append(features)
    return images, maps
