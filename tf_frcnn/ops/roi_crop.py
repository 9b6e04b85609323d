"""Crops of the feature map for each RoI, by bilinear samples."""

import functools
import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tf_frcnn.ops.gradients import own_gradient
from tf_frcnn.ops.roi_bilinear import bilinear_taps, gather_by_taps, of_each_roi


def crop_pool(
    features: tf.Tensor,
    boxes: tf.Tensor,
    *,
    stride: int,
    pooled_size: int = 7,
    max_pool: bool = True,
) -> tf.Tensor:
    """Crops 2S x 2S bilinear samples from corner to corner, then takes 2x2 maxima.

    A sample outside the map is 0. `tf.image.crop_and_resize`, used here, has no XLA
    kernel; `crop_pool_by_gather` is the form for XLA.

    Args:
        features: float [B, h, w, C].
        boxes: float32 [B, R, 4], pixels of the network's input.
        stride: pixels per cell of the map; a corner y lies at cell y / stride.
        pooled_size: S.
        max_pool: False crops S x S samples and takes no maxima.

    Returns:
        float [B, R, S, S, C], of the features' type.

    Source: tf-faster-rcnn:lib/nets/network.py, `_crop_pool_layer`.
    """
    settings: dict[str, Any] = {"pooled_size": pooled_size, "max_pool": max_pool}
    if 1 in features.shape[1:3]:
        # The image op finds no sample outside a map of one row or column.
        levels = tf.zeros(tf.shape(boxes)[:2], tf.int32)
        return crop_pool_by_gather(
            [features], boxes, levels, strides=[stride], **settings
        )
    size = 2 * pooled_size if max_pool else pooled_size
    samples = crop_by_image_op(features, boxes / stride, size)
    if max_pool:
        samples = tf.nn.max_pool2d(samples, 2, 2, "VALID")
    return split_images(samples, boxes)


def crop_pool_by_gather(
    features: Sequence[tf.Tensor],
    boxes: tf.Tensor,
    levels: tf.Tensor,
    *,
    strides: Sequence[int],
    pooled_size: int = 7,
    max_pool: bool = True,
    unroll: bool = False,
) -> tf.Tensor:
    """Applies `crop_pool` to each RoI on its own one of several maps, for XLA.

    Args:
        features: float [B, h, w, C] of each level.
        boxes: float32 [B, R, 4], pixels of the network's input.
        levels: int32 [B, R], index into the maps.
        strides: pixels per cell of each map.
        pooled_size: S.
        max_pool: as in `crop_pool`.
        unroll: as in `gather_by_taps`.

    Returns:
        float [B, R, S, S, C], of the features' type.
    """
    scales, sizes = of_each_roi(features, levels, strides)
    cells = boxes * scales
    step = 2 if max_pool else 1
    positions = [
        _positions(cells[..., axis], cells[..., axis + 2], step * pooled_size)
        for axis in (0, 1)
    ]

    def samples(*offset):
        """Returns every second sample of a side, or all: float [B, R, S, S, C]."""
        rows, columns = (
            bilinear_taps(
                positions[axis][..., offset[axis] :: step], sizes[..., axis], margin=0.0
            )
            for axis in (0, 1)
        )
        return gather_by_taps(features, levels, rows, columns, unroll=unroll)

    # Not by max_pool2d, whose gradient XLA computes slowly.
    offsets = itertools.product(range(step), repeat=2)
    return functools.reduce(tf.maximum, itertools.starmap(samples, offsets))


def crop_by_image_op(features: tf.Tensor, cells: tf.Tensor, size: int) -> tf.Tensor:
    """Samples the corners of each box and evenly spaced places between, without XLA.

    The boxes are constants for the gradient. That of the features is not TensorFlow's
    own, whose threads add to one cell at once and lose parts of its sum on a CPU.

    Args:
        features: float [B, h, w, C].
        cells: float32 [B, R, 4], boxes in cells of the map.
        size: samples along each side.

    Returns:
        float [B * R, size, size, C], of the features' type; 0 outside the map.
    """
    batch, num_rois = tf.shape(cells)[0], tf.shape(cells)[1]
    # The op counts in units of the map's last cell; a map of one cell has none.
    extent = tf.maximum(tf.cast(tf.shape(features)[1:3] - 1, tf.float32), 1.0)
    boxes = tf.reshape(cells / tf.tile(extent, [2]), [-1, 4])
    image_index = tf.repeat(tf.range(batch), num_rois)

    @own_gradient
    def crop(maps):
        def gradient(upstream):
            shape = tf.shape(maps)
            taps = _taps_of_samples(boxes, image_index, shape, size)
            return _sum_over_samples(upstream, shape, *taps)

        samples = tf.image.crop_and_resize(maps, boxes, image_index, [size, size])
        return samples, gradient

    return tf.cast(crop(tf.cast(features, tf.float32)), features.dtype)


def split_images(pooled: tf.Tensor, boxes: tf.Tensor) -> tf.Tensor:
    """Reshapes [B * R, S, S, C] to [B, R, S, S, C] for boxes [B, R, 4]."""
    batch, num_rois = tf.shape(boxes)[0], boxes.shape[1] or tf.shape(boxes)[1]
    return tf.reshape(pooled, [batch, num_rois, *pooled.shape[1:]])


def _positions(low, high, size):
    """Returns float32 [B, R, size] from low to high; a single one is in the middle."""
    if size == 1:
        return 0.5 * (low + high)[..., tf.newaxis]
    steps = np.arange(size, dtype=np.float32) / np.float32(size - 1)
    return low[..., tf.newaxis] + (high - low)[..., tf.newaxis] * steps


def _taps_of_samples(boxes, image_index, shape, size):
    """Weighs the four cells around each sample of `tf.image.crop_and_resize`.

    The op itself tells where its samples lie, by cropping a map of the cells' places:
    so they are rounded, and dropped outside the map, just as in the forward pass.

    Args:
        boxes: float32 [N, 4], in units of the map's last cell.
        image_index: int32 [N].
        shape: int32 [4], B, h, w and C.
        size: samples along each side, S.

    Returns:
        cells: int32 [N, S, S, 2, 2], index among the cells of all images.
        weights: float32 [N, S, S, 2, 2]; zeros outside the map.
    """
    sides = tf.unstack(shape[1:3])
    grid = tf.stack(tf.meshgrid(*map(tf.range, sides), indexing="ij"), axis=-1)
    places = tf.image.crop_and_resize(
        tf.cast(grid, tf.float32)[tf.newaxis],
        boxes,
        tf.zeros_like(image_index),
        [size, size],
        extrapolation_value=-1.0,
    )
    rows, columns = (
        bilinear_taps(places[..., axis], sides[axis], margin=0.0) for axis in (0, 1)
    )
    first_rows = tf.reshape(image_index * sides[0], [-1, 1, 1, 1])
    starts = (first_rows + rows.cells) * sides[1]
    cells = starts[..., tf.newaxis] + columns.cells[..., tf.newaxis, :]
    return cells, rows.weights[..., tf.newaxis] * columns.weights[..., tf.newaxis, :]


def _sum_over_samples(upstream, shape, cells, weights):
    """Adds each sample times its weights to its cells.

    This is a product with a sparse matrix of a row per cell. One thread sums a row, in
    the order of the samples: the result is the same each time.

    Args:
        upstream: float32 [N, S, S, C].
        shape: int32 [4], B, h, w and C.
        cells: int32 [N, S, S, 2, 2], index among the cells of all images.
        weights: float32 [N, S, S, 2, 2].

    Returns:
        float32 [B, h, w, C].
    """
    cells = tf.reshape(tf.cast(cells, tf.int64), [-1, 4])
    num_samples = tf.shape(cells, tf.int64)[0]
    samples = tf.broadcast_to(tf.range(num_samples)[:, tf.newaxis], tf.shape(cells))
    matrix = tf.raw_ops.SparseTensorToCSRSparseMatrix(
        indices=tf.reshape(tf.stack([samples, cells], axis=-1), [-1, 2]),
        values=tf.reshape(weights, [-1]),
        dense_shape=[num_samples, tf.reduce_prod(tf.cast(shape[:3], tf.int64))],
    )
    # Not by `transpose_a` of the product, which adds up in the order of the threads.
    matrix = tf.raw_ops.SparseMatrixTranspose(input=matrix, type=tf.float32)
    upstream = tf.reshape(upstream, [num_samples, tf.cast(shape[3], tf.int64)])
    return tf.reshape(tf.raw_ops.SparseMatrixMatMul(a=matrix, b=upstream), shape)
