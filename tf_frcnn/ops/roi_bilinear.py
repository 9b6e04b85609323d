"""Bilinear samples: their weights, and weighted sums over several maps, for XLA."""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from tf_frcnn.ops.gradients import own_gradient


class Taps(NamedTuple):
    """The cells that each pooled row (or column) is a weighted sum of.

    Attributes:
        cells: int32 [B, R, S, T], index of a map's row (or column).
        weights: float32 [B, R, S, T].
    """

    cells: tf.Tensor
    weights: tf.Tensor


def of_each_roi(
    features: Sequence[tf.Tensor], levels: tf.Tensor, strides: Sequence[int]
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the factor of each RoI's corners and the size of its map.

    Args:
        features: float [B, h, w, C] of each level.
        levels: int32 [B, R], index into the maps.
        strides: pixels per cell of each map.

    Returns:
        scales: float32 [B, R, 1], cells per pixel.
        sizes: int32 [B, R, 2], rows and columns.
    """
    scales = tf.constant([1 / stride for stride in strides], tf.float32)
    sizes = tf.stack([tf.shape(level)[1:3] for level in features])
    return tf.gather(scales, levels)[..., tf.newaxis], tf.gather(sizes, levels)


def bilinear_taps(positions: tf.Tensor, num_cells: tf.Tensor, *, margin: float) -> Taps:
    """Weighs the two cells around each position.

    Args:
        positions: float32 [B, R, S], in cells.
        num_cells: int32 [B, R], or [] if all are of one map.
        margin: cells by which a position may leave the map and still count as the cell
            at the border; beyond, both weights are 0.

    Returns:
        `Taps` with T = 2.
    """
    num_cells = num_cells[..., tf.newaxis]
    last = tf.cast(num_cells - 1, tf.float32)
    inside = (positions >= -margin) & (positions <= last + margin)
    positions = tf.clip_by_value(positions, 0.0, last)
    lower = tf.floor(positions)
    upper_weight = positions - lower
    lower = tf.cast(lower, tf.int32)
    cells = tf.stack([lower, tf.minimum(lower + 1, num_cells - 1)], axis=-1)
    weights = tf.stack([1.0 - upper_weight, upper_weight], axis=-1)
    return Taps(cells, tf.where(inside[..., tf.newaxis], weights, 0.0))


def bilinear_weights(
    positions: tf.Tensor, num_cells: tf.Tensor, *, margin: float
) -> tf.Tensor:
    """Weighs every cell for each position: `bilinear_taps`, spread out.

    Args:
        positions: float32 [B, R, S], in cells.
        num_cells: int32 [], of the map.
        margin: as in `bilinear_taps`.

    Returns:
        float32 [B, R, S, num_cells]; zeros beyond the margin.
    """
    last = tf.cast(num_cells - 1, tf.float32)
    inside = (positions >= -margin) & (positions <= last + margin)
    positions = tf.clip_by_value(positions, 0.0, last)[..., tf.newaxis]
    cells = tf.cast(tf.range(num_cells), tf.float32)
    weights = tf.nn.relu(1.0 - tf.abs(positions - cells))
    return tf.where(inside[..., tf.newaxis], weights, 0.0)


def gather_by_taps(
    features: Sequence[tf.Tensor],
    levels: tf.Tensor,
    rows: Taps,
    columns: Taps,
    *,
    unroll: bool = False,
) -> tf.Tensor:
    """Sums weight(row) * weight(column) * cell over each pooled cell's taps.

    One pair of taps after the other is added to the result, and in the gradient to the
    maps, so that nothing larger than these is held.

    Args:
        features: float [B, h, w, C] of each level.
        levels: int32 [B, R], index into the maps.
        rows: `Taps`.
        columns: `Taps`.
        unroll: repeats the operations for each pair instead of looping. XLA takes ten
            times as long to compile them.

    Returns:
        float [B, R, S, S, C], of the features' type, summed in float32.
    """
    rows = _rows_among_all_cells(features, levels, rows)
    dtype, num_channels = features[0].dtype, features[0].shape[-1]
    batch, num_rois = tf.unstack(tf.shape(levels))
    shape = [batch, num_rois, rows.cells.shape[2], columns.cells.shape[2], num_channels]

    @own_gradient
    def gather(*maps):
        cells = tf.concat([tf.reshape(level, [-1, num_channels]) for level in maps], 0)

        def add_cells(total, index, weights):
            return total + weights * tf.cast(tf.gather(cells, index), tf.float32)

        def gradient(upstream):
            upstream = tf.cast(upstream, tf.float32)

            def add_to_cells(total, index, weights):
                index = tf.expand_dims(index, -1)
                return tf.tensor_scatter_nd_add(total, index, weights * upstream)

            total = tf.zeros(tf.shape(cells))
            total = _add_pairs(add_to_cells, total, rows, columns, unroll)
            sizes = [tf.size(level) // num_channels for level in maps]
            return tuple(
                tf.cast(tf.reshape(own, tf.shape(level)), dtype)
                for own, level in zip(tf.split(total, sizes), maps, strict=True)
            )

        pooled = _add_pairs(add_cells, tf.zeros(shape), rows, columns, unroll)
        return tf.cast(pooled, dtype), gradient

    return gather(*features)


def _add_pairs(add, total, rows, columns, unroll):
    """Calls `add(total, index, weights)` with each tap of a row and each of a column.

    The index counts all maps' cells, int32 [B, R, S, S]; the weights are float32
    [B, R, S, S, 1].
    """
    num_columns = columns.cells.shape[-1]
    num_pairs = rows.cells.shape[-1] * num_columns

    def next_pair(number, total):
        # Not by slices: on a stack they lose a new axis when a graph is simplified.
        row_start, row_weight = (
            tf.expand_dims(tf.gather(values, number // num_columns, axis=-1), 3)
            for values in rows
        )
        cell, weight = (
            tf.expand_dims(tf.gather(values, number % num_columns, axis=-1), 2)
            for values in columns
        )
        weights = tf.expand_dims(row_weight * weight, -1)
        return number + 1, add(total, row_start + cell, weights)

    state = 0, total
    if unroll:
        for _ in range(num_pairs):
            state = next_pair(*state)
        return state[1]
    return tf.while_loop(lambda number, _: number < num_pairs, next_pair, state)[1]


def _rows_among_all_cells(features, levels, rows):
    """Returns `Taps` whose rows are those rows' first cells among all maps' cells."""
    areas = tf.stack([tf.reduce_prod(tf.shape(level)[1:3]) for level in features])
    widths = tf.stack([tf.shape(level)[2] for level in features])
    batch, num_rois = tf.unstack(tf.shape(levels))
    first_of_level = tf.cumsum(areas, exclusive=True) * batch
    image = tf.expand_dims(tf.range(batch), 1)
    first = tf.gather(first_of_level, levels) + image * tf.gather(areas, levels)
    of_roi = [batch, num_rois, 1, 1]
    starts = rows.cells * tf.reshape(tf.gather(widths, levels), of_roi)
    return Taps(starts + tf.reshape(first, of_roi), rows.weights)
