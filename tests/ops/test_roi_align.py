import functools

import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.ops.roi_align import roi_align, roi_align_by_gather


def by_gather(features, boxes, *, stride, **settings):
    levels = tf.zeros(tf.shape(boxes)[:2], tf.int32)
    return roi_align_by_gather([features], boxes, levels, strides=[stride], **settings)


adaptive = functools.partial(roi_align, sampling_ratio=0)
# The image op has no XLA kernel; the matrix products of the adaptive form have.
ROUTES = {
    "image op, eager": ("eager", roi_align),
    "image op, graph": ("graph", roi_align),
    "gather, eager": ("eager", by_gather),
    "gather, graph": ("graph", by_gather),
    "gather, xla": ("xla", by_gather),
}


@pytest.fixture(params=ROUTES)
def align(request, run_in):
    """RoIAlign with a fixed number of samples, by one route."""
    return run_in(*ROUTES[request.param])


def numbered_map(rows, columns):
    """Returns a map whose cell (y, x) holds 10 y + x."""
    cells = 10 * np.arange(rows)[:, np.newaxis] + np.arange(columns)
    return np.float32(cells)[np.newaxis, ..., np.newaxis]


def random_map(rows, columns):
    rng = np.random.default_rng(0)
    return rng.normal(size=(1, rows, columns, 2)).astype(np.float32)


@pytest.mark.parametrize("samples", [1, 2, 3])
def test_on_a_slope_a_bin_has_the_value_at_its_middle(align, samples):
    # Bins of 1 x 1.5 cells from (1, 2): middles at rows 1.5, 2.5, columns 2.75, 4.25.
    pooled = align(
        numbered_map(6, 8),
        np.float32([[[16, 32, 48, 80]]]),
        stride=16,
        pooled_size=2,
        sampling_ratio=samples,
    )
    expected = [[17.75, 19.25], [27.75, 29.25]]
    np.testing.assert_allclose(pooled[0, 0, ..., 0], expected, rtol=1e-6)


def test_aligned_takes_pixel_corners_for_cell_corners(align):
    pooled = align(
        numbered_map(6, 8),
        np.float32([[[16, 32, 48, 80]]]),
        stride=16,
        pooled_size=2,
        aligned=True,
    )
    expected = [[12.25, 13.75], [22.25, 23.75]]
    np.testing.assert_allclose(pooled[0, 0, ..., 0], expected, rtol=1e-6)


def test_the_samples_of_a_bin_are_averaged(align):
    # One bin over rows 0.5, 1.5 and columns 0.5, 1.5 around the peak of 16 at (1, 1):
    # each sample has a quarter of it.
    features = np.zeros([1, 3, 3, 1], np.float32)
    features[0, 1, 1] = 16
    boxes = np.float32([[[0, 0, 2, 2]]])
    settings = {"stride": 1, "pooled_size": 1}
    pooled = align(features, boxes, sampling_ratio=2, **settings)
    np.testing.assert_allclose(pooled.ravel(), [4], rtol=1e-6)
    # One sample hits the peak itself.
    pooled = align(features, boxes, sampling_ratio=1, **settings)
    np.testing.assert_allclose(pooled.ravel(), [16], rtol=1e-6)


def test_unaligned_sides_are_at_least_one_cell(align):
    # A point at (1, 2) becomes a cell with its middle at (1.5, 2.5).
    boxes = np.float32([[[16, 32, 16, 32]]])
    settings = {"stride": 16, "pooled_size": 1}
    pooled = align(numbered_map(6, 8), boxes, **settings)
    np.testing.assert_allclose(pooled.ravel(), [17.5], rtol=1e-6)
    pooled = align(numbered_map(6, 8), boxes, aligned=True, **settings)
    np.testing.assert_allclose(pooled.ravel(), [6.5], rtol=1e-6)


@pytest.mark.parametrize(
    ("row", "value"), [(-1.5, 0), (-1.0, 3), (-0.5, 3), (3.5, 5), (4.0, 5), (4.5, 0)]
)
def test_up_to_a_cell_outside_counts_as_the_border_and_beyond_as_zero(
    align, row, value
):
    # Rows 3, 9, 9, 5; the only sample lies in the middle of the box.
    features = np.float32([3, 9, 9, 5])[np.newaxis, :, np.newaxis, np.newaxis]
    boxes = np.float32([[[row - 0.5, -0.5, row + 0.5, 0.5]]])
    pooled = align(features, boxes, stride=1, pooled_size=1, sampling_ratio=1)
    np.testing.assert_allclose(pooled.ravel(), [value], rtol=1e-6)


def test_the_result_has_the_type_of_the_features(align):
    features = tf.cast(numbered_map(6, 8), tf.bfloat16)
    pooled = align(features, np.float32([[[16, 32, 48, 80]]]), stride=16, pooled_size=2)
    assert pooled.dtype == tf.bfloat16.as_numpy_dtype
    expected = [[17.75, 19.25], [27.75, 29.25]]
    np.testing.assert_allclose(
        np.float32(pooled[0, 0, ..., 0]), expected, rtol=2 * 2**-8
    )


def test_the_routes_agree_inside_and_outside_the_map(run_in, align):
    rng = np.random.default_rng(0)
    corners = rng.uniform(-60, 460, (1, 60, 2, 2)).astype(np.float32)
    boxes = np.sort(corners, axis=2).reshape(1, 60, 4)
    for aligned in (False, True):
        settings = {"stride": 16, "aligned": aligned}
        expected = run_in("eager", roi_align)(random_map(19, 25), boxes, **settings)
        pooled = align(random_map(19, 25), boxes, **settings)
        np.testing.assert_allclose(pooled, expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("pooled_size", [3, 7])
@pytest.mark.parametrize("cells_per_bin", [1, 2, 3])
def test_adaptive_takes_one_sample_per_cell_of_a_bin(
    in_mode, run_in, pooled_size, cells_per_bin
):
    # A quotient by a constant, as a graph computes it, would give a sample more.
    side = pooled_size * cells_per_bin
    boxes = np.float32([[[1.25, 0.5, 1.25 + side, 0.5 + side]]])
    settings = {"stride": 1, "pooled_size": pooled_size}
    features = random_map(24, 25)
    pooled = in_mode(adaptive)(features, boxes, **settings)
    expected = run_in("eager", by_gather)(
        features, boxes, sampling_ratio=cells_per_bin, **settings
    )
    np.testing.assert_allclose(pooled, expected, rtol=0, atol=1e-5)


def test_adaptive_takes_a_sample_more_for_part_of_a_cell(in_mode, run_in):
    # Sides of 5 and 6 cells in two bins: three samples each way.
    boxes = np.float32([[[1, 2, 6, 8]]])
    settings = {"stride": 1, "pooled_size": 2}
    pooled = in_mode(adaptive)(random_map(9, 9), boxes, **settings)
    expected = run_in("eager", by_gather)(
        random_map(9, 9), boxes, sampling_ratio=3, **settings
    )
    np.testing.assert_allclose(pooled, expected, rtol=0, atol=1e-5)


def test_adaptive_has_no_sample_in_an_empty_aligned_box(in_mode):
    boxes = np.float32([[[2, 2, 2, 5], [4, 4, 2, 5], [0, 0, 0, 0]]])
    pooled = in_mode(adaptive)(random_map(9, 9), boxes, stride=1, aligned=True)
    np.testing.assert_array_equal(pooled, np.zeros([1, 3, 7, 7, 2]))
