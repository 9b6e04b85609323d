"""A fixed-size piece of the feature map for each region of interest."""

import functools
from collections.abc import Sequence

import keras
import tensorflow as tf

from tf_frcnn.ops.roi_align import roi_align, roi_align_by_gather
from tf_frcnn.ops.roi_crop import crop_pool, crop_pool_by_gather
from tf_frcnn.ops.roi_levels import pool_and_select, pool_in_groups
from tf_frcnn.ops.roi_pool import max_roi_pool

METHODS = ("align", "crop", "pool")
CELL_SIZES = ("stride", "canvas")


@keras.saving.register_keras_serializable("tf_frcnn")
class RoIPooling(keras.layers.Layer):
    """Pools each RoI from its feature map to S x S cells.

    Args:
        strides: pixels per cell of each map, finest first.
        method: "crop", crop_and_resize to 2S and 2x2 max pooling; "pool", RoIPool;
            "align", RoIAlign.
        pooled_size: S.
        crop_max_pool: of "crop"; False crops to S and takes no maxima.
        aligned: of "align", see `ops.roi_align`.
        sampling_ratio: of "align", samples per bin and axis; 0 for ceil(side / S).
        cell_size: pixels of a map's cell, "stride" for its stride, "canvas" for the
            sides of the canvas over those of the map.
        for_xla: uses the routes that XLA compiles; the results agree to rounding.

    Attributes:
        unroll: False; whether what `for_xla` gathers is gathered without a loop of the
            graph, for runtimes that have none.

    Source: see `ops.roi_crop`, `ops.roi_pool` and `ops.roi_align`;
        faster-rcnn-pytorch (bubbliiiing):nets/classifier.py for "canvas".
    """

    def __init__(
        self,
        strides: Sequence[int] = (16,),
        *,
        method: str = "crop",
        pooled_size: int = 7,
        crop_max_pool: bool = True,
        aligned: bool = False,
        sampling_ratio: int = 2,
        cell_size: str = "stride",
        for_xla: bool = False,
        **kwargs,
    ):
        super().__init__(**{"autocast": False, **kwargs})
        if method not in METHODS:
            raise ValueError(
                f"RoIPooling: method = {method!r} must be one of {list(METHODS)}."
            )
        if cell_size not in CELL_SIZES:
            raise ValueError(
                f"RoIPooling: cell_size = {cell_size!r} must be one of "
                f"{list(CELL_SIZES)}."
            )
        self.strides, self.method, self.pooled_size = (
            tuple(strides),
            method,
            pooled_size,
        )
        self.crop_max_pool, self.aligned = crop_max_pool, aligned
        self.sampling_ratio, self.cell_size = sampling_ratio, cell_size
        self.for_xla, self.unroll = for_xla, False

    def call(self, features, boxes, levels=None, canvas_size=None):
        """Pools the RoIs; the boxes are constants for the gradient.

        Args:
            features: float [B, h, w, C], one map per stride.
            boxes: float32 [B, R, 4], pixels of the network's input.
            levels: int32 [B, R], index into the maps, 0 the finest; not needed for
                one map.
            canvas_size: int32 [2], (height, width) of the batch in pixels; needed for
                cells of "canvas" only.

        Returns:
            float [B, R, S, S, C], of the features' type.
        """
        self._check(features, levels, canvas_size)
        boxes = tf.stop_gradient(boxes)
        if len(features) == 1:
            levels = tf.zeros(tf.shape(boxes)[:2], tf.int32)
        if self.cell_size == "canvas":
            boxes = self._in_strides(features, boxes, levels, canvas_size)
        if self.for_xla and (by_gather := self._pool_by_gather()):
            return by_gather(features, boxes, levels, strides=self.strides)
        pool = self._pool_of_one_map()
        if len(features) == 1:
            return pool(features[0], boxes, stride=self.strides[0])
        pool_levels = pool_and_select if self.for_xla else pool_in_groups
        return pool_levels(pool, features, boxes, levels, strides=self.strides)

    def _in_strides(self, features, boxes, levels, canvas_size):
        """Returns the boxes as if a cell of their map had as many pixels as a stride.

        The order keeps rounding that of boxes / canvas * map, as a stride is a power
        of two.
        """
        canvas_size = tf.cast(canvas_size, tf.float32)
        map_sizes = tf.stack([tf.shape(level)[1:3] for level in features])
        strides = tf.constant(self.strides, tf.float32)
        map_sizes = tf.cast(map_sizes, tf.float32) * strides[:, tf.newaxis]
        map_sizes = tf.gather(map_sizes, levels)
        return boxes / tf.tile(canvas_size, [2]) * tf.tile(map_sizes, [1, 1, 2])

    def _check(self, features, levels, canvas_size):
        if len(features) != len(self.strides):
            raise ValueError(
                f"RoIPooling: {len(features)} feature maps but {len(self.strides)} "
                f"strides {self.strides}."
            )
        if levels is None and len(features) > 1:
            raise ValueError(
                f"RoIPooling: {len(features)} feature maps need the levels of the RoIs."
            )
        if canvas_size is None and self.cell_size == "canvas":
            raise ValueError("RoIPooling: cell_size = 'canvas' needs the canvas_size.")

    def _pool_of_one_map(self):
        """Returns the method as `pool(features, boxes, stride=...)`."""
        pool, settings = {
            "crop": (crop_pool, {"max_pool": self.crop_max_pool}),
            "pool": (max_roi_pool, {}),
            "align": (
                roi_align,
                {"aligned": self.aligned, "sampling_ratio": self.sampling_ratio},
            ),
        }[self.method]
        return functools.partial(pool, pooled_size=self.pooled_size, **settings)

    def _pool_by_gather(self):
        """Returns the method over all maps at once, where that is its route for XLA."""
        if self.method == "crop":
            pool, settings = crop_pool_by_gather, {"max_pool": self.crop_max_pool}
        elif self.method == "align" and self.sampling_ratio:
            pool = roi_align_by_gather
            settings = {"aligned": self.aligned, "sampling_ratio": self.sampling_ratio}
        else:
            return None
        settings |= {"pooled_size": self.pooled_size, "unroll": self.unroll}
        return functools.partial(pool, **settings)

    def get_config(self):
        """Returns the constructor's arguments."""
        return super().get_config() | {
            "strides": self.strides,
            "method": self.method,
            "pooled_size": self.pooled_size,
            "crop_max_pool": self.crop_max_pool,
            "aligned": self.aligned,
            "sampling_ratio": self.sampling_ratio,
            "cell_size": self.cell_size,
            "for_xla": self.for_xla,
        }
