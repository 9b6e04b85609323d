import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.ops.roi_pool import max_roi_pool


def pool_and_gradient(features, boxes, upstream, *, stride, pooled_size):
    with tf.GradientTape() as tape:
        tape.watch(features)
        pooled = max_roi_pool(features, boxes, stride=stride, pooled_size=pooled_size)
    return pooled, tape.gradient(pooled, features, upstream)


def gradient_of_ones(in_mode, cells, boxes, pooled_size):
    """Returns float32 [h, w]: the gradient of the sum, for a map [h, w] of stride 1."""
    features = np.float32(cells)[np.newaxis, ..., np.newaxis]
    boxes = np.float32([boxes])
    upstream = np.ones([1, boxes.shape[1], pooled_size, pooled_size, 1], np.float32)
    return in_mode(pool_and_gradient)(
        features, boxes, upstream, stride=1, pooled_size=pooled_size
    )[1][0, ..., 0]


def numbered_map(rows, columns):
    """Returns a map whose cell (y, x) holds 10 y + x."""
    cells = 10 * np.arange(rows)[:, np.newaxis] + np.arange(columns)
    return np.float32(cells)[np.newaxis, ..., np.newaxis]


def worked_out(features, boxes, upstream):
    """Pools whole-cell boxes of stride 1 bin by bin, and sends the gradient back."""
    batch, num_rois, size, _, num_channels = upstream.shape
    pooled, gradient = np.zeros_like(upstream), np.zeros_like(features)
    for image, roi, row, column, channel in np.ndindex(
        batch, num_rois, size, size, num_channels
    ):
        low, high = boxes[image, roi].reshape(2, 2)
        bin_side = np.float32(np.maximum(high - low + 1, 1)) / np.float32(size)
        index = np.float32([row, column])
        start = np.maximum(low + np.floor(index * bin_side), 0).astype(int)
        end = np.maximum(low + np.ceil((index + 1) * bin_side), 0).astype(int)
        cells = features[image, start[0] : end[0], start[1] : end[1], channel]
        if cells.size:
            place = np.unravel_index(cells.argmax(), cells.shape)
            pooled[image, roi, row, column, channel] = cells[place]
            gradient[image, start[0] + place[0], start[1] + place[1], channel] += (
                upstream[image, roi, row, column, channel]
            )
    return pooled, gradient


def test_each_bin_has_its_maximum(in_mode):
    # Cells 1 to 4 by 2 to 5, both corners within: bins of two cells.
    boxes = np.float32([[[16, 32, 64, 80]]])
    pooled = in_mode(max_roi_pool)(numbered_map(6, 7), boxes, stride=16, pooled_size=2)
    np.testing.assert_array_equal(pooled[0, 0, ..., 0], [[23, 25], [43, 45]])
    pooled = in_mode(max_roi_pool)(-numbered_map(6, 7), boxes, stride=16, pooled_size=2)
    np.testing.assert_array_equal(pooled[0, 0, ..., 0], [[-12, -14], [-32, -34]])


def test_bins_overlap_where_cells_do_not_divide(in_mode):
    # Three cells in two bins: 0 to 1 and 1 to 2.
    boxes = np.float32([[[0, 0, 2, 2]]])
    pooled = in_mode(max_roi_pool)(-numbered_map(4, 4), boxes, stride=1, pooled_size=2)
    np.testing.assert_array_equal(pooled[0, 0, ..., 0], [[0, -1], [-10, -11]])


@pytest.mark.parametrize(
    ("corner", "cell"),
    [(24.0, 2), (23.9, 1), (8.0, 1), (7.999999, 0), (40.0, 3), (0.0, 0)],
)
def test_corners_are_rounded_halves_away_from_zero(in_mode, corner, cell):
    boxes = np.float32([[[0, corner, 0, corner]]])
    pooled = in_mode(max_roi_pool)(numbered_map(1, 9), boxes, stride=16, pooled_size=1)
    assert pooled[0, 0, 0, 0, 0] == cell


def test_negative_halves_are_rounded_away_from_zero(in_mode):
    # From cell -1 (-8 / 16) to 2: two bins of two cells, the first cut to cell 0.
    boxes = np.float32([[[0, -8, 0, 32]]])
    pooled = in_mode(max_roi_pool)(numbered_map(1, 9), boxes, stride=16, pooled_size=2)
    np.testing.assert_array_equal(pooled[0, 0, 0, :, 0], [0, 2])


def test_bins_outside_the_map_are_zero_and_give_no_gradient(in_mode):
    cells = np.full([3, 3], -7)
    features = np.float32(cells)[np.newaxis, ..., np.newaxis]
    boxes = np.float32([[1, -2, 2, 1], [40, 40, 50, 50], [-9, -9, -5, -5]])
    pooled = in_mode(max_roi_pool)(features, boxes[np.newaxis], stride=1, pooled_size=2)
    np.testing.assert_array_equal(pooled[0, 0, ..., 0], [[0, -7], [0, -7]])
    np.testing.assert_array_equal(pooled[0, 1:], np.zeros([2, 2, 2, 1]))
    gradient = gradient_of_ones(in_mode, cells, boxes, 2)
    np.testing.assert_array_equal(gradient, [[0, 0, 0], [1, 0, 0], [1, 0, 0]])


@pytest.mark.parametrize(
    "cells",
    [
        [[0, 0, 0], [0, 0, 0]],
        [[1, 5, 5], [5, 5, 2]],
        [[-3, -2, -2], [-2, -2, -9]],
        [[-0.0, 0.0, 0.0], [0.0, -0.0, 0.0]],
        [[-1e-30, 1e-30, 1e-30], [1e-30, 0, 0]],
    ],
)
def test_of_equal_maxima_the_first_by_rows_takes_the_gradient(in_mode, cells):
    gradient = gradient_of_ones(in_mode, cells, [[0, 0, 1, 2]], 1)
    expected = np.zeros(6)
    expected[np.argmax(cells)] = 1
    np.testing.assert_array_equal(gradient, expected.reshape(2, 3))


def test_a_cell_takes_the_sum_of_all_its_bins(in_mode):
    # Cell 3 is the maximum of both bins of the first RoI and of one of the second.
    boxes = [[0, 2, 0, 4], [0, 3, 0, 6]]
    gradient = gradient_of_ones(in_mode, [[0, 1, 2, 9, 1, 5, 6]], boxes, 2)
    np.testing.assert_array_equal(gradient, [[0, 0, 0, 6, 0, 0, 2]])


def test_bin_edges_are_those_of_float32_quotients(in_mode):
    # The maximum of a rising row is its last cell. By a product with 1 / 7 other cells
    # would be the last; the first side where this happens is 3.
    sides = np.arange(1, 301, dtype=np.float32)
    boxes = np.stack([0 * sides, 0 * sides, 0 * sides, sides - 1], axis=-1)[np.newaxis]
    features = np.float32(np.arange(300))[np.newaxis, np.newaxis, :, np.newaxis]
    pooled = in_mode(max_roi_pool)(features, boxes, stride=1)
    bins = np.arange(1, 8, dtype=np.float32)
    ends = np.ceil(bins * (sides / np.float32(7))[:, np.newaxis])
    np.testing.assert_array_equal(pooled[0, :, 0, :, 0], np.minimum(ends, 300) - 1)


@pytest.mark.parametrize("peak", [(0, 0), (29, 20), (29, 0), (0, 20), (13, 9)])
def test_a_bin_far_larger_than_the_windows_is_searched_everywhere(in_mode, peak):
    features = np.zeros([1, 30, 21, 1], np.float32)
    features[0][peak] = 7
    boxes = np.float32([[[-100, -100, 200, 200]]])
    pooled = in_mode(max_roi_pool)(features, boxes, stride=1, pooled_size=1)
    assert pooled.ravel() == [7]


def test_values_and_gradients_are_those_of_a_search_bin_by_bin(in_mode):
    # Few different values make many ties; some RoIs are far larger than the map.
    rng = np.random.default_rng(0)
    features = rng.integers(-2, 3, (2, 13, 22, 2)).astype(np.float32)
    corners = np.concatenate(
        [rng.integers(-4, 24, (2, 12, 2, 2)), rng.integers(-90, 90, (2, 6, 2, 2))], 1
    )
    boxes = np.sort(corners, axis=2).reshape(2, 18, 4).astype(np.float32)
    boxes[0, :2] = [[3, 4, 1, 1], [0, 0, 0, 0]]  # Flipped corners; a padded row.
    upstream = rng.integers(-3, 4, (2, 18, 3, 3, 2)).astype(np.float32)
    results = in_mode(pool_and_gradient)(
        features, boxes, upstream, stride=1, pooled_size=3
    )
    for result, expected in zip(
        results, worked_out(features, boxes, upstream), strict=True
    ):
        np.testing.assert_array_equal(result, expected)


def test_bfloat16_maps_give_bfloat16_maxima_and_gradients(in_mode):
    features = tf.cast(numbered_map(6, 7), tf.bfloat16)
    boxes, upstream = np.float32([[[16, 32, 64, 80]]]), np.ones([1, 1, 2, 2, 1])
    pooled, gradient = in_mode(pool_and_gradient)(
        features, boxes, tf.cast(upstream, tf.bfloat16), stride=16, pooled_size=2
    )
    assert pooled.dtype == gradient.dtype == tf.bfloat16.as_numpy_dtype
    np.testing.assert_array_equal(
        np.float32(pooled[0, 0, ..., 0]), [[23, 25], [43, 45]]
    )
    assert np.float32(gradient).sum() == 4 and gradient[0, 2, 3, 0] == 1
