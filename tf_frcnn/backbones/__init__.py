"""Trunks by name.

A new trunk is one file with a builder and one line in `BACKBONES`.
"""

from collections.abc import Callable
from typing import NamedTuple

import keras

from tf_frcnn.backbones.tiny import tiny
from tf_frcnn.backbones.vgg16 import vgg16


class Backbone(NamedTuple):
    """What the detector needs to know of a trunk.

    Attributes:
        build: takes `frozen_blocks`, returns the trunk as a Keras model.
        stride: pixels of the network's input per cell of the feature map.
        image_mode: of `ImageNormalization`, what its pretrained weights expect.
        num_blocks: how many blocks can be frozen.
    """

    build: Callable[[int], keras.Model]
    stride: int
    image_mode: str
    num_blocks: int


BACKBONES = {
    "tiny": Backbone(tiny, stride=16, image_mode="unit", num_blocks=4),
    "vgg16": Backbone(vgg16, stride=16, image_mode="caffe", num_blocks=5),
}

__all__ = ["BACKBONES", "Backbone"]
