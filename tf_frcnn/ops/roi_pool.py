"""RoIPool: the maximum in each cell of a RoI, exactly as published.

A bin's maximum is that of a few overlapping windows of 1, 2 or 4 cells a side, whose
maxima are in a table made once for the map. The gradient goes to the bin's first
maximum by rows: its place is found by the same maxima over numbers that hold value and
place together.
"""

import functools

import numpy as np
import tensorflow as tf

from tf_frcnn.ops.gradients import own_gradient

# Sides of the windows in the table, in cells. Two of 4 cells cover any bin of a RoI of
# 49 cells at S = 7; larger bins take more.
WINDOW_SIDES = (1, 2, 4)
# The longest side of a RoI, in cells; one that leaves its map by so much is cut.
MAX_SIDE = 4096
# A place is kept in those bits of a float64 that a float32 leaves zero.
PLACE_BITS = 28
# Stands for 0, whose own bits a processor may flush; below all other float32.
NEXT_TO_ZERO = 2.0**-1000


def max_roi_pool(
    features: tf.Tensor, boxes: tf.Tensor, *, stride: int, pooled_size: int = 7
) -> tf.Tensor:
    """Pools each RoI to S x S maxima over bins of whole cells.

    The corners times 1 / stride are rounded, halves away from zero, and both belong to
    the RoI, whose sides are thus at least one cell. Bin i of n cells reaches from
    floor(i n / S) to ceil((i + 1) n / S), cut to the map.

    Args:
        features: float [B, h, w, C], fewer than 2^28 cells.
        boxes: float32 [B, R, 4], pixels of the network's input.
        stride: pixels per cell of the map.
        pooled_size: S.

    Returns:
        float [B, R, S, S, C], of the features' type; 0 where a bin has no cell. Of
        equal maxima the first by rows takes the gradient.

    Source: Girshick 2015, section 2.1; the rules of rounding and of ties are
        caffe-fast-rcnn:src/caffe/layers/roi_pooling_layer.cpp.
    """
    rows, columns = (
        _bins(boxes[..., axis::2] * np.float32(1 / stride), num_cells, pooled_size)
        for axis, num_cells in enumerate(tf.unstack(tf.shape(features)[1:3]))
    )
    has_cells = (rows[1] > 0)[..., tf.newaxis] & (columns[1] > 0)[..., tf.newaxis, :]
    has_cells = has_cells[..., tf.newaxis]

    @own_gradient
    def pool(features):
        values = tf.cast(features, tf.float32)
        maxima = tf.where(has_cells, _bin_maxima(values, rows, columns), 0.0)

        def gradient(upstream):
            best = _bin_maxima(_with_places(values), rows, columns)
            upstream = tf.where(has_cells, tf.cast(upstream, tf.float32), 0.0)
            return tf.cast(_add_at(_places(best), upstream, values), features.dtype)

        return tf.cast(maxima, features.dtype), gradient

    return pool(features)


def _bins(corners, num_cells, pooled_size):
    """Returns int32 [B, R, S] first cells of one axis and numbers of cells, maybe 0."""
    first, last = tf.unstack(_round_half_away(corners), axis=-1)
    side = tf.clip_by_value(last - first + 1, 1, MAX_SIDE)
    edges = first[..., tf.newaxis, tf.newaxis]
    edges += tf.gather(tf.constant(_bin_edges(pooled_size)), side)
    starts, ends = tf.unstack(tf.clip_by_value(edges, 0, num_cells), axis=-1)
    return starts, ends - starts


def _round_half_away(values):
    whole = tf.cast(values, tf.int32)  # towards zero
    is_far = tf.abs(values - tf.cast(whole, tf.float32)) >= 0.5
    return whole + tf.where(is_far, tf.cast(tf.sign(values), tf.int32), 0)


@functools.cache
def _bin_edges(pooled_size):
    """Returns int32 [MAX_SIDE + 1, S, 2]: first cell and end of each bin of a side.

    The references' float32 quotients are computed outside of the graph, which would
    multiply by 1 / S instead and move some edges.
    """
    side = np.arange(MAX_SIDE + 1, dtype=np.float32)[:, np.newaxis]
    bin_side = side / np.float32(pooled_size)
    bins = np.arange(pooled_size, dtype=np.float32)
    edges = [np.floor(bins * bin_side), np.ceil((bins + 1) * bin_side)]
    return np.stack(edges, axis=-1).astype(np.int32)


def _bin_maxima(values, rows, columns):
    """Returns [B, R, S, S, C] maxima of float [B, h, w, C]; anything for empty bins."""
    batch, height, width, _ = tf.unstack(tf.shape(values))
    table = _window_maxima(_window_maxima(values, 1), 3)
    table = tf.reshape(table, [-1, values.shape[-1]])
    row_kind, row_side, row_count = _windows(rows[1])
    column_kind, column_side, column_count = _windows(columns[1])
    kind = column_kind[..., tf.newaxis, :] * len(WINDOW_SIDES)
    kind += row_kind[..., tf.newaxis]
    image = kind * batch + tf.range(batch)[:, tf.newaxis, tf.newaxis, tf.newaxis]
    num_columns = tf.reduce_max(column_count)

    def add_window(number, maxima):
        row = _window_start(rows, row_side, number // num_columns, height)
        column = _window_start(columns, column_side, number % num_columns, width)
        cell = (image * height + row[..., tf.newaxis]) * width
        cell += column[..., tf.newaxis, :]
        return number + 1, tf.maximum(maxima, tf.gather(table, cell))

    shape = tf.concat([tf.shape(image), [values.shape[-1]]], axis=0)
    nothing = tf.fill(shape, values.dtype.min)
    num_windows = tf.reduce_max(row_count) * num_columns
    _, maxima = tf.while_loop(
        lambda number, _: number < num_windows, add_window, (0, nothing)
    )
    return maxima


def _window_maxima(values, axis):
    """Returns [kinds, ...]: maxima over windows that start at each place of an axis.

    A window that would leave the map is smaller than it should be; no bin uses it.
    """
    kinds = [values]
    for side, previous in zip(WINDOW_SIDES[1:], WINDOW_SIDES, strict=False):
        shift = side - previous
        here = _slice(kinds[-1], axis, slice(None, -shift))
        there = _slice(kinds[-1], axis, slice(shift, None))
        end = _slice(kinds[-1], axis, slice(-shift, None))
        kinds.append(tf.concat([tf.maximum(here, there), end], axis))
    return tf.stack(kinds)


def _slice(values, axis, part):
    return values[(slice(None),) * axis + (part,)]


def _windows(lengths):
    """Returns kind, side and number of the windows that cover bins of int32 lengths."""
    kind = sum(tf.cast(lengths >= side, tf.int32) for side in WINDOW_SIDES[1:])
    side = tf.gather(WINDOW_SIDES, kind)
    return kind, side, tf.maximum((lengths + side - 1) // side, 1)


def _window_start(bins, side, number, num_cells):
    """Returns int32 [B, R, S] first cells; after its last window a bin repeats it."""
    starts, lengths = bins
    offset = tf.maximum(tf.minimum(number * side, lengths - side), 0)
    return tf.minimum(starts + offset, num_cells - 1)


def _with_places(values):
    """Returns float64 [B, h, w, C] that order by value, then by place, the first above.

    The bits of a negative number order the other way round.
    """
    num_cells = tf.size(values[0, ..., 0], out_type=tf.int64)
    place = tf.reshape(tf.range(num_cells), [*tf.unstack(tf.shape(values)[1:3]), 1])
    next_to_zero = tf.constant(NEXT_TO_ZERO, tf.float64)
    bits = tf.cast(values, tf.float64)
    bits = tf.bitcast(tf.where(values == 0, next_to_zero, bits), tf.int64)
    top = tf.constant(2**PLACE_BITS - 1, tf.int64)
    bits = tf.where(values < 0, bits | place, bits | (top - place))
    return tf.bitcast(bits, tf.float64)


def _places(best):
    """Returns int32, of the shape of `best`: row * w + column of each maximum."""
    mask = 2**PLACE_BITS - 1
    place = tf.cast(tf.bitcast(best, tf.int64) & mask, tf.int32)
    return tf.where(best < 0, place, mask - place)


def _add_at(places, upstream, values):
    """Returns float32 [B, h, w, C] like `values`: the gradients' sum in each cell.

    Counting adds in a fixed order and needs a tenth of the time of a scatter.
    """
    batch, num_channels = tf.shape(values)[0], values.shape[-1]
    index = places * num_channels + tf.range(num_channels)
    sums = tf.raw_ops.DenseBincount(
        input=tf.reshape(index, [batch, -1]),
        size=tf.size(values[0]),
        weights=tf.reshape(upstream, [batch, -1]),
    )
    return tf.reshape(sums, tf.shape(values))
