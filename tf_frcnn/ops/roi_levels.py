"""Pooling from a pyramid of feature maps: the map of each RoI, and its pooling."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from tf_frcnn.ops.boxes import box_areas


def assign_levels(
    boxes: tf.Tensor,
    *,
    canonical_size: float = 224.0,
    canonical_level: int = 4,
    levels: tuple[int, int] = (2, 5),
) -> tf.Tensor:
    """Chooses a level by size: floor(canonical_level + log2(sqrt(area) / size)).

    Level k's map has a stride of 2^k pixels. The comparison is of areas, so that no
    rounding of a logarithm moves a RoI of exactly 112 or 224 pixels.

    Args:
        boxes: float32 [..., 4], pixels.
        canonical_size: side in pixels of a square RoI on `canonical_level`.
        canonical_level: k of such a RoI.
        levels: the first and the last level; others are clipped to them.

    Returns:
        int32 [...], index from 0, which is the first of `levels`. An empty box has 0.

    Source: Lin et al. 2017 (feature pyramids), equation 1; the allowance of 1e-6
        levels is torchvision:torchvision/ops/poolers.py, `LevelMapper`.
    """
    first, last = levels
    sides = [
        canonical_size * 2.0 ** (level - canonical_level - 1e-6)
        for level in range(first + 1, last + 1)
    ]
    smallest_areas = tf.constant([side * side for side in sides], tf.float32)
    reached = box_areas(boxes)[..., tf.newaxis] >= smallest_areas
    return tf.math.count_nonzero(reached, axis=-1, dtype=tf.int32)


def pool_in_groups(
    pool: Callable[..., tf.Tensor],
    features: Sequence[tf.Tensor],
    boxes: tf.Tensor,
    levels: tf.Tensor,
    *,
    strides: Sequence[int],
) -> tf.Tensor:
    """Pools each RoI from its own map, the RoIs of one map together.

    Their number is only known in the graph, so XLA cannot compile it.

    Args:
        pool: of one map: `pool(features, boxes, stride=...)` -> [B, R, S, S, C].
        features: float [B, h, w, C] of each level.
        boxes: float32 [B, R, 4], pixels.
        levels: int32 [B, R], index into the maps.
        strides: pixels per cell of each map.

    Returns:
        float [B, R, S, S, C].
    """
    pooled, position, num_before = [], tf.zeros_like(levels), 0
    for level, (own_map, stride) in enumerate(zip(features, strides, strict=True)):
        is_own = levels == level
        counts = tf.math.count_nonzero(is_own, axis=1, dtype=tf.int32)
        # One at least: image kernels do not all take an empty batch of boxes.
        most = tf.maximum(tf.reduce_max(counts), 1)
        own_first = tf.argsort(tf.cast(~is_own, tf.int32), stable=True)[:, :most]
        own_boxes = tf.gather(boxes, own_first, batch_dims=1)
        pooled.append(pool(own_map, own_boxes, stride=stride))
        rank = tf.cumsum(tf.cast(is_own, tf.int32), axis=1, exclusive=True)
        position = tf.where(is_own, num_before + rank, position)
        num_before += tf.shape(own_first)[1]
    return tf.gather(tf.concat(pooled, axis=1), position, batch_dims=1)


def pool_and_select(
    pool: Callable[..., tf.Tensor],
    features: Sequence[tf.Tensor],
    boxes: tf.Tensor,
    levels: tf.Tensor,
    *,
    strides: Sequence[int],
) -> tf.Tensor:
    """Pools each RoI from every map and selects its own: `pool_in_groups` for XLA.

    Args:
        pool: as in `pool_in_groups`.
        features: float [B, h, w, C] of each level.
        boxes: float32 [B, R, 4], pixels.
        levels: int32 [B, R], index into the maps.
        strides: pixels per cell of each map.

    Returns:
        float [B, R, S, S, C].
    """
    selected = 0.0
    for level, (own_map, stride) in enumerate(zip(features, strides, strict=True)):
        is_own = (levels == level)[..., tf.newaxis, tf.newaxis, tf.newaxis]
        pooled = pool(own_map, boxes, stride=stride)
        selected = tf.where(is_own, pooled, tf.cast(selected, pooled.dtype))
    return selected
