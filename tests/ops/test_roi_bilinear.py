import functools

import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.ops.roi_bilinear import (
    Taps,
    bilinear_taps,
    bilinear_weights,
    gather_by_taps,
)

POSITIONS = np.float32([[[0, 1.25, 3, -0.5, 3.5, -1.5, 4.5]]])
# Of a map of four cells, with a margin of one cell.
WEIGHTS = [
    [1, 0, 0, 0],
    [0, 0.75, 0.25, 0],
    [0, 0, 0, 1],
    [1, 0, 0, 0],
    [0, 0, 0, 1],
    [0, 0, 0, 0],
    [0, 0, 0, 0],
]


def test_a_position_weighs_the_cells_around_it(in_mode):
    weights = in_mode(bilinear_weights)(POSITIONS, np.int32(4), margin=1.0)
    np.testing.assert_allclose(weights[0, 0], WEIGHTS)


def test_without_a_margin_only_positions_on_the_map_have_weights(in_mode):
    weights = in_mode(bilinear_weights)(POSITIONS, np.int32(4), margin=0.0)
    np.testing.assert_allclose(weights[0, 0], WEIGHTS[:3] + [[0, 0, 0, 0]] * 4)


def test_taps_are_the_weights_that_are_not_zero(in_mode):
    for margin in (0.0, 1.0):
        taps = in_mode(bilinear_taps)(POSITIONS, np.int32([[4]]), margin=margin)
        spread = np.zeros([7, 4])
        places = (np.arange(7)[:, np.newaxis], taps.cells[0, 0])
        np.add.at(spread, places, taps.weights[0, 0])
        expected = in_mode(bilinear_weights)(POSITIONS, np.int32(4), margin=margin)
        np.testing.assert_allclose(spread, expected[0, 0])


def sum_and_gradients(*arrays, unroll=False):
    """Sums two RoIs of each of two images, and the gradient of 1 for each."""
    *maps, levels, row_cells, row_weights, column_cells, column_weights = arrays
    with tf.GradientTape() as tape:
        tape.watch(maps)
        pooled = gather_by_taps(
            maps,
            levels,
            Taps(row_cells, row_weights),
            Taps(column_cells, column_weights),
            unroll=unroll,
        )
    return pooled, tape.gradient(pooled, maps)


@pytest.mark.parametrize("unroll", [False, True])
def test_the_taps_of_an_image_and_a_level_are_summed(in_mode, unroll):
    # Image 0: cell (1, 0) of the fine map, half of (0, 0) and (0, 1) of the coarse one.
    # Image 1: three times cell (0, 2) of the fine map, cell (0, 0) of the coarse one.
    fine = np.arange(12, dtype=np.float32).reshape(2, 2, 3, 1)
    coarse = np.float32([[[10, 30]], [[50, 70]]])[..., np.newaxis]
    levels = np.int32([[0, 1], [0, 1]])
    row_cells = np.int32([[1, 0], [0, 0]]).reshape(2, 2, 1, 1)
    row_weights = np.float32([[1, 1], [3, 1]]).reshape(2, 2, 1, 1)
    columns = np.int32([[[0, 0], [0, 1]], [[2, 2], [0, 0]]]).reshape(2, 2, 1, 2)
    column_weights = np.full([2, 2, 1, 2], 0.5, np.float32)
    run = in_mode(functools.partial(sum_and_gradients, unroll=unroll))
    pooled, gradients = run(
        fine, coarse, levels, row_cells, row_weights, columns, column_weights
    )
    np.testing.assert_allclose(pooled[..., 0, 0, 0], [[3, 20], [24, 50]])
    np.testing.assert_allclose(
        gradients[0][..., 0], [[[0, 0, 0], [1, 0, 0]], [[0, 0, 3], [0, 0, 0]]]
    )
    np.testing.assert_allclose(gradients[1][..., 0], [[[0.5, 0.5]], [[1, 0]]])
