"""What the detector needs to know of a backbone."""

from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np


class Backbone(NamedTuple):
    """A backbone, what it expects, and what it gives.

    Attributes:
        build: takes `frozen_blocks` and `normalization`, returns the backbone: a Keras
            model from float [B, H, W, 3] to one map float [B, h, w, C], or to a list
            of maps, finest first.
        strides: pixels of the network's input per cell of each map.
        image_mode: of `Preprocessing`, what its pretrained weights expect.
        num_blocks: how many blocks can be frozen.
        has_normalization: whether the builders heed `normalization`, "frozen_batch"
            or "group".
        build_tail: takes `normalization`, returns the network that makes a RoI's
            features, a Keras model from float [N, S, S, C] to a map; None where the
            head is fully connected.
        num_roi_levels: RoIs are pooled from so many maps, the first ones.
        imagenet: downloads the weights trained on ImageNet, layer name -> arrays; None
            where there are none.
    """

    build: Callable[..., keras.Model]
    strides: tuple[int, ...]
    image_mode: str
    num_blocks: int
    has_normalization: bool = False
    build_tail: Callable[[str], keras.Model] | None = None
    num_roi_levels: int = 1
    imagenet: Callable[[], dict[str, list[np.ndarray]]] | None = None
