"""RoIAlign: the mean of bilinear samples in each cell of a RoI.

A RoI's corners, times 1 / stride, are cut into S x S bins; each bin takes the mean of
n x n samples that lie evenly within it. A sample further than one cell outside the
map's first and last cell is 0; nearer ones take the value at the border.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tf_frcnn.ops.roi_bilinear import (
    Taps,
    bilinear_taps,
    bilinear_weights,
    gather_by_taps,
    of_each_roi,
)
from tf_frcnn.ops.roi_crop import crop_by_image_op, split_images


def roi_align(
    features: tf.Tensor,
    boxes: tf.Tensor,
    *,
    stride: int,
    pooled_size: int = 7,
    aligned: bool = False,
    sampling_ratio: int = 2,
) -> tf.Tensor:
    """Pools each RoI of one map to S x S means.

    With a fixed number of samples this uses `tf.image.crop_and_resize`, which has no
    XLA kernel; `roi_align_by_gather` is the form for XLA.

    Args:
        features: float [B, h, w, C].
        boxes: float32 [B, R, 4], pixels of the network's input.
        stride: pixels per cell of the map.
        pooled_size: S.
        aligned: cell (0, 0) has its middle at pixel (stride / 2, stride / 2), not at
            (0, 0). Otherwise the sides of a RoI are at least one cell.
        sampling_ratio: n; 0 takes ceil(side / S) of each RoI and axis.

    Returns:
        float [B, R, S, S, C], of the features' type.

    Source: He et al. 2017 (Mask R-CNN), section 3; the rules at the border and
        `aligned` are torchvision:torchvision/csrc/ops/cpu/roi_align_kernel.cpp.
    """
    starts, sides = _extents(boxes * np.float32(1 / stride), aligned)
    if not sampling_ratio:
        return _align_by_matmul(features, starts, sides, pooled_size)
    steps = _sample_steps(pooled_size, sampling_ratio)
    corners = tf.concat([starts + sides * steps[0], starts + sides * steps[-1]], -1)
    # A cell more on each side, equal to the border's, gives the rule at the border.
    around = [[0, 0], [1, 1], [1, 1], [0, 0]]
    padded = tf.pad(tf.cast(features, tf.float32), around, "SYMMETRIC")
    samples = crop_by_image_op(padded, corners + 1.0, len(steps))
    pooled = tf.nn.avg_pool2d(samples, sampling_ratio, sampling_ratio, "VALID")
    return tf.cast(split_images(pooled, boxes), features.dtype)


def roi_align_by_gather(
    features: Sequence[tf.Tensor],
    boxes: tf.Tensor,
    levels: tf.Tensor,
    *,
    strides: Sequence[int],
    pooled_size: int = 7,
    aligned: bool = False,
    sampling_ratio: int = 2,
    unroll: bool = False,
) -> tf.Tensor:
    """Applies `roi_align` to each RoI on its own one of several maps, for XLA.

    Args:
        features: float [B, h, w, C] of each level.
        boxes: float32 [B, R, 4], pixels of the network's input.
        levels: int32 [B, R], index into the maps.
        strides: pixels per cell of each map.
        pooled_size: S.
        aligned: as in `roi_align`.
        sampling_ratio: n, not 0.
        unroll: as in `gather_by_taps`.

    Returns:
        float [B, R, S, S, C], of the features' type.
    """
    scales, sizes = of_each_roi(features, levels, strides)
    starts, sides = _extents(boxes * scales, aligned)
    steps = _sample_steps(pooled_size, sampling_ratio)
    rows, columns = (
        _mean_taps(
            starts[..., axis, tf.newaxis] + sides[..., axis, tf.newaxis] * steps,
            sizes[..., axis],
            sampling_ratio,
        )
        for axis in (0, 1)
    )
    return gather_by_taps(features, levels, rows, columns, unroll=unroll)


def _extents(cells, aligned):
    """Returns float32 [B, R, 2] first corners and [B, R, 2] sides, in cells."""
    starts, ends = tf.split(cells - 0.5 if aligned else cells, 2, axis=-1)
    sides = ends - starts
    return starts, sides if aligned else tf.maximum(sides, 1.0)


def _sample_steps(pooled_size, sampling_ratio):
    """Returns float32 [S * n]: where the samples of a side lie, as parts of it."""
    count = pooled_size * sampling_ratio
    return (np.arange(count, dtype=np.float32) + 0.5) / np.float32(count)


def _mean_taps(positions, num_cells, sampling_ratio):
    """Returns `Taps` with T = 2n from float32 [B, R, S * n] positions."""
    taps = bilinear_taps(positions, num_cells, margin=1.0)
    batch, num_rois = tf.shape(positions)[0], tf.shape(positions)[1]
    shape = [batch, num_rois, positions.shape[-1] // sampling_ratio, 2 * sampling_ratio]
    weights = tf.reshape(taps.weights, shape) / sampling_ratio
    return Taps(tf.reshape(taps.cells, shape), weights)


def _align_by_matmul(features, starts, sides, pooled_size):
    rows, columns = (
        _mean_weights(
            starts[..., axis],
            sides[..., axis],
            tf.shape(features)[axis + 1],
            pooled_size,
        )
        for axis in (0, 1)
    )
    rows, columns = tf.cast(rows, features.dtype), tf.cast(columns, features.dtype)
    pooled = tf.einsum("brsh,bhwc->brswc", rows, features)
    return tf.einsum("brtw,brswc->brstc", columns, pooled)


def _mean_weights(starts, sides, num_cells, pooled_size):
    """Returns float32 [B, R, S, num_cells]: weights of the means of a side's bins."""
    counts = _samples_per_bin(sides, pooled_size)[..., tf.newaxis]
    starts, sides = starts[..., tf.newaxis], sides[..., tf.newaxis]
    bins = tf.range(pooled_size, dtype=tf.float32)

    def add_sample(number, total):
        """Adds the sample of this number, 0 the first, of every bin that has it."""
        place = bins + (number + 0.5) / tf.maximum(counts, 1.0)
        positions = starts + sides * place / pooled_size
        weights = bilinear_weights(positions, num_cells, margin=1.0)
        has_sample = (number < counts)[..., tf.newaxis]
        return number + 1.0, total + tf.where(has_sample, weights, 0.0)

    shape = [tf.shape(sides)[0], tf.shape(sides)[1], pooled_size, num_cells]
    _, total = tf.while_loop(
        lambda number, _: number < tf.reduce_max(counts),
        add_sample,
        (0.0, tf.zeros(shape)),
    )
    return total / tf.maximum(counts, 1.0)[..., tf.newaxis]


def _samples_per_bin(sides, pooled_size):
    """Returns float32 [B, R]: ceil(side / S), 0 for a side that is not positive."""
    counts = tf.math.ceil(sides / pooled_size)
    # Graph mode multiplies by 1 / S, which can lift a whole number over itself.
    counts -= tf.cast((counts - 1.0) * pooled_size >= sides, tf.float32)
    counts += tf.cast(counts * pooled_size < sides, tf.float32)
    return tf.maximum(counts, 0.0)
