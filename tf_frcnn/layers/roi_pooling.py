"""Fixed-size features for each RoI."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tf_frcnn.config import Conventions, RoISettings, settings_config
from tf_frcnn.ops.roi_align import roi_align, roi_align_by_gather
from tf_frcnn.ops.roi_crop import crop_pool, crop_pool_by_gather
from tf_frcnn.ops.roi_levels import pool_and_select, pool_in_groups
from tf_frcnn.ops.roi_pool import max_roi_pool


class Pooling(NamedTuple):
    """A way to pool RoIs, ready for the layer.

    Attributes:
        pool: from one map, `pool(features, boxes, stride=, pooled_size=)`, float
            [B, h, w, C] and float32 [B, R, 4] -> float [B, R, S, S, C].
        by_gather: from all maps at once, `by_gather(maps, boxes, levels, strides=,
            pooled_size=, unroll=)`, where that is the faster route for XLA; or None.
    """

    pool: Callable[..., tf.Tensor]
    by_gather: Callable[..., tf.Tensor] | None = None


def _crop(roi: RoISettings) -> Pooling:
    settings: dict[str, Any] = {"max_pool": roi.crop_max_pool}
    return Pooling(
        functools.partial(crop_pool, **settings),
        functools.partial(crop_pool_by_gather, **settings),
    )


def _pool(roi: RoISettings) -> Pooling:
    return Pooling(max_roi_pool)


def _align(roi: RoISettings) -> Pooling:
    settings: dict[str, Any] = {
        "aligned": roi.aligned,
        "sampling_ratio": roi.sampling_ratio,
    }
    pool = functools.partial(roi_align, **settings)
    if not roi.sampling_ratio:
        return Pooling(pool)
    return Pooling(pool, functools.partial(roi_align_by_gather, **settings))


ROI_POOLINGS: dict[str, Callable[[RoISettings], Pooling]] = {
    "crop": _crop,
    "pool": _pool,
    "align": _align,
}


@keras.saving.register_keras_serializable("tf_frcnn")
class RoIPooling(keras.layers.Layer):
    """Pools each RoI from its feature map to S x S cells.

    Args:
        strides: pixels per cell of each map, finest first.
        roi: `RoISettings`; `pooling`, a name of `ROI_POOLINGS`, and what concerns it.
        conventions: `Conventions`; `cell_size` is read.
        for_xla: uses the routes that XLA compiles; the results agree to rounding.

    Attributes:
        unroll: False; whether `for_xla` gathers without a loop in the graph, for
            runtimes that have none.

    Source: see `ops.roi_crop`, `ops.roi_pool` and `ops.roi_align`;
        faster-rcnn-pytorch (bubbliiiing):nets/classifier.py for "canvas".
    """

    def __init__(
        self,
        strides: Sequence[int] = (16,),
        roi: RoISettings | dict | None = None,
        conventions: Conventions | str | dict | None = None,
        *,
        for_xla: bool = False,
        **kwargs,
    ):
        super().__init__(**{"autocast": False, **kwargs})
        self.strides, self.roi = tuple(strides), RoISettings.of(roi)
        if self.roi.pooling not in ROI_POOLINGS:
            raise ValueError(
                f"roi.pooling = {self.roi.pooling!r} must be one of "
                f"{', '.join(ROI_POOLINGS)}."
            )
        self.conventions = Conventions.of(conventions)
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
        if self.conventions.cell_size == "canvas":
            boxes = self._in_strides(features, boxes, levels, canvas_size)
        pooling, size = ROI_POOLINGS[self.roi.pooling](self.roi), self.roi.pooled_size
        if self.for_xla and pooling.by_gather:
            settings = {"pooled_size": size, "unroll": self.unroll}
            return pooling.by_gather(
                features, boxes, levels, strides=self.strides, **settings
            )
        pool = functools.partial(pooling.pool, pooled_size=size)
        if len(features) == 1:
            return pool(features[0], boxes, stride=self.strides[0])
        pool_levels = pool_and_select if self.for_xla else pool_in_groups
        return pool_levels(pool, features, boxes, levels, strides=self.strides)

    def _in_strides(self, features, boxes, levels, canvas_size):
        """Returns the boxes as if a cell of their map had exactly stride pixels.

        This order rounds as boxes / canvas * map does, because a stride is a power of
        two.
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
        if canvas_size is None and self.conventions.cell_size == "canvas":
            raise ValueError("RoIPooling: cell_size = 'canvas' needs the canvas_size.")

    def get_config(self):
        """Returns the constructor's arguments."""
        own = settings_config(roi=self.roi, conventions=self.conventions)
        return super().get_config() | {
            "strides": self.strides,
            "for_xla": self.for_xla,
            **own,
        }
