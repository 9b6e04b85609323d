"""The properties of a backbone that the detector needs."""

from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np


class Backbone(NamedTuple):
    """A backbone's builder, its input and its output.

    Attributes:
        build: takes `frozen_blocks` and `normalization`, returns the backbone: a Keras
            model from float [B, H, W, 3] to one map float [B, h, w, C], or to a list
            of maps, finest first.
        strides: pixels of the network's input per cell of each map.
        image_mode: of `Preprocessing`, as its pretrained weights expect.
        num_blocks: number of blocks that can be frozen.
        has_normalization: whether the builders use `normalization`, "frozen_batch" or
            "group".
        build_tail: takes `normalization`, returns the network that makes a RoI's
            features, a Keras model from float [N, S, S, C] to a map; None where the
            head is fully connected.
        num_roi_levels: number of maps, the first ones, that RoIs are pooled from.
        rounds_down: whether a map of sides that are no multiple of its stride drops the
            last part of a cell; otherwise it keeps it.
        imagenet: downloads the weights trained on ImageNet, layer name -> arrays; None
            where none exist.
    """

    build: Callable[..., keras.Model]
    strides: tuple[int, ...]
    image_mode: str
    num_blocks: int
    has_normalization: bool = False
    build_tail: Callable[[str], keras.Model] | None = None
    num_roi_levels: int = 1
    rounds_down: bool = False
    imagenet: Callable[[], dict[str, list[np.ndarray]]] | None = None
