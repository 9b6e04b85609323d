import functools

import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.ops.roi_crop import crop_by_image_op, crop_pool, crop_pool_by_gather


def by_gather(features, boxes, *, stride, **settings):
    levels = tf.zeros(tf.shape(boxes)[:2], tf.int32)
    return crop_pool_by_gather([features], boxes, levels, strides=[stride], **settings)


ROUTES = {
    "image op, eager": ("eager", crop_pool),
    "image op, graph": ("graph", crop_pool),
    "gather, eager": ("eager", by_gather),
    "gather, graph": ("graph", by_gather),
    "gather, xla": ("xla", by_gather),
}


@pytest.fixture(params=ROUTES)
def crop(request, run_in):
    """The crop by one route; `tf.image.crop_and_resize` has no XLA kernel."""
    return run_in(*ROUTES[request.param])


def numbered_map(rows, columns):
    """Returns a map whose cell (y, x) holds 10 y + x and its negative."""
    cells = 10 * np.arange(rows)[:, np.newaxis] + np.arange(columns)
    return np.float32(np.stack([cells, -cells], axis=-1))[np.newaxis]


def test_samples_lie_from_corner_to_corner_and_the_larger_of_two_is_taken(crop):
    # Corners at cells 1 and 4: the four samples are the cells 1, 2, 3 and 4.
    pooled = crop(
        numbered_map(6, 7), np.float32([[[16, 32, 64, 80]]]), stride=16, pooled_size=2
    )
    np.testing.assert_allclose(pooled[0, 0, ..., 0], [[23, 25], [43, 45]], rtol=1e-6)
    np.testing.assert_allclose(
        pooled[0, 0, ..., 1], [[-12, -14], [-32, -34]], rtol=1e-6
    )


def test_samples_between_cells_are_interpolated(crop):
    # Rows 0.5, 1, 1.5, 2 and columns 1.25, 1.5, 1.75, 2.
    pooled = crop(
        numbered_map(4, 5), np.float32([[[4, 10, 16, 16]]]), stride=8, pooled_size=2
    )
    np.testing.assert_allclose(
        pooled[0, 0, ..., 0], [[11.5, 12], [21.5, 22]], rtol=1e-6
    )


def test_a_direct_crop_has_the_samples_themselves(crop):
    boxes = np.float32([[[16, 32, 48, 64]]])
    settings = {"stride": 16, "max_pool": False}
    pooled = crop(numbered_map(6, 7), boxes, pooled_size=3, **settings)
    expected = [[12, 13, 14], [22, 23, 24], [32, 33, 34]]
    np.testing.assert_allclose(pooled[0, 0, ..., 0], expected, rtol=1e-6)
    pooled = crop(numbered_map(6, 7), boxes, pooled_size=1, **settings)
    np.testing.assert_allclose(pooled[0, 0, ..., 0], [[23]], rtol=1e-6)


def test_samples_outside_the_map_are_zero(crop):
    # Columns -2, -1, 0, 1 and rows 1, 2, 3, 4 of a map of 4 rows: row 4 lies outside.
    pooled = crop(
        np.full([1, 4, 5, 1], -7, np.float32),
        np.float32([[[16, -32, 64, 16]]]),
        stride=16,
        pooled_size=2,
    )
    np.testing.assert_allclose(pooled[0, 0, ..., 0], [[0, -7], [0, 0]], rtol=1e-6)


def test_a_point_and_a_padded_row_of_zeros_sample_one_place(crop):
    pooled = crop(
        numbered_map(4, 5), np.float32([[[24, 32, 24, 32], [0, 0, 0, 0]]]), stride=16
    )
    np.testing.assert_allclose(pooled[0, 0, ..., 0], np.full([7, 7], 17), rtol=1e-6)
    np.testing.assert_array_equal(pooled[0, 1], np.zeros([7, 7, 2]))


def test_a_map_of_one_row_is_zero_outside_its_row(crop):
    # Rows 0, 1, 2, 3 and columns 0, 1, 2, 3.
    features = np.full([1, 1, 5, 1], -7, np.float32)
    boxes = np.float32([[[0, 0, 48, 48]]])
    pooled = crop(features, boxes, stride=16, pooled_size=2)
    np.testing.assert_allclose(pooled[0, 0, ..., 0], [[0, 0], [0, 0]])
    pooled = crop(-features, boxes, stride=16, pooled_size=2)
    np.testing.assert_allclose(pooled[0, 0, ..., 0], [[7, 7], [0, 0]])


def test_the_result_has_the_type_of_the_features(crop):
    features = tf.cast(numbered_map(6, 7), tf.float16)
    pooled = crop(features, np.float32([[[16, 32, 64, 80]]]), stride=16, pooled_size=2)
    assert pooled.dtype == np.float16
    np.testing.assert_allclose(pooled[0, 0, ..., 0], [[23, 25], [43, 45]], rtol=2e-3)


def test_the_routes_agree_inside_and_outside_the_map(run_in, crop):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(2, 19, 25, 3)).astype(np.float32)
    corners = rng.uniform(-60, 460, (2, 60, 2, 2)).astype(np.float32)
    boxes = np.sort(corners, axis=2).reshape(2, 60, 4)
    expected = run_in("eager", crop_pool)(features, boxes, stride=16)
    pooled = crop(features, boxes, stride=16)
    np.testing.assert_allclose(pooled, expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)
def test_the_boxes_may_be_constants_of_the_graph(run_in, route):
    # Slices of a stack lose a new axis where a graph is simplified.
    mode, crop = route
    boxes = tf.constant([[[16.0, 32.0, 64.0, 80.0]]])
    crop = functools.partial(crop, boxes=boxes, stride=16, pooled_size=2)
    pooled = run_in(mode, crop)(numbered_map(6, 7))
    np.testing.assert_allclose(pooled[0, 0, ..., 0], [[23, 25], [43, 45]], rtol=1e-6)


def test_the_crops_of_an_image_do_not_depend_on_its_batch_mates(crop):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(3, 9, 11, 2)).astype(np.float32)
    corners = rng.uniform(0, 140, (3, 5, 2, 2)).astype(np.float32)
    boxes = np.sort(corners, axis=2).reshape(3, 5, 4)
    batch = crop(features, boxes, stride=16)
    alone = crop(features[1:2], boxes[1:2], stride=16)
    np.testing.assert_allclose(batch[1:2], alone, rtol=0, atol=1e-6)


def gradient_of(crop):
    """Returns a function of features, boxes and upstream: the features' gradient."""

    def gradient(features, boxes, upstream, **settings):
        with tf.GradientTape() as tape:
            tape.watch(features)
            pooled = crop(features, boxes, **settings)
        return tape.gradient(pooled, features, upstream)

    return gradient


@pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)
def test_a_sample_passes_its_gradient_on_to_the_cells_around_it(run_in, route):
    # Samples at rows 0.5, 2 and columns 1, 2.25; of the second box, half a cell to the
    # right and below, only the first sample lies on the map.
    mode, crop = route
    boxes = np.float32([[[8, 16, 32, 36], [16, 24, 40, 56]]])
    upstream = np.float32([[[8, 16], [32, 64]], [[4, 100], [100, 100]]])
    gradient = run_in(mode, gradient_of(crop))(
        np.zeros([1, 3, 4, 1], np.float32),
        boxes,
        upstream.reshape(1, 2, 2, 2, 1),
        stride=16,
        pooled_size=2,
        max_pool=False,
    )
    expected = [[0, 4, 6, 2], [0, 4 + 2, 6 + 2, 2], [0, 32, 48, 16]]
    np.testing.assert_allclose(gradient[0, ..., 0], expected, rtol=1e-6)


def gradient_in_cells(features, cells, upstream):
    """Returns the gradient of `crop_by_image_op` with samples like the upstream's."""
    crop = functools.partial(crop_by_image_op, size=upstream.shape[1])
    return gradient_of(crop)(features, cells, upstream)


def expected_gradient(cells, upstream, map_size):
    """Returns float64 [B, h, w, C]: upstream times the weights of each image's samples.

    A cell's weights are the crops of a map with a one in this cell.
    """
    batch, size, channels = len(cells), upstream.shape[1], upstream.shape[-1]
    num_samples = cells.shape[1] * size**2
    ones = np.eye(np.prod(map_size), dtype=np.float32)
    maps = np.tile(ones.reshape(1, *map_size, -1), [batch, 1, 1, 1])
    weights = crop_by_image_op(tf.constant(maps), tf.constant(cells), size)
    weights = np.float64(weights).reshape(batch, num_samples, len(ones))
    upstream = np.float64(upstream).reshape(batch, num_samples, channels)
    gradient = np.swapaxes(weights, 1, 2) @ upstream
    return gradient.reshape(batch, *map_size, channels)


@pytest.mark.parametrize("mode", ["eager", "graph"])
@pytest.mark.parametrize("size", [1, 7, 14])
@pytest.mark.parametrize("map_size", [(19, 25), (2, 3), (1, 9), (1, 1)])
def test_the_gradient_is_the_transposed_crop(run_in, mode, size, map_size):
    rng = np.random.default_rng(0)
    corners = rng.uniform(-0.3, 1.3, (2, 30, 2, 2)) * map_size
    cells = np.sort(corners, axis=2).reshape(2, 30, 4)
    cells[:, :10] = np.round(cells[:, :10])  # Samples on cells, and on the border.
    cells[:, 10:12, 2:] = cells[:, 10:12, :2]  # Points.
    cells[:, 12] = [-40, -40, -30, -30]  # Outside.
    cells = cells.astype(np.float32)
    upstream = rng.normal(size=(60, size, size, 5)).astype(np.float32)
    gradient = run_in(mode, gradient_in_cells)(
        np.zeros([2, *map_size, 5], np.float32), cells, upstream
    )
    expected = expected_gradient(cells, upstream, map_size)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=3e-6 * scale)


@pytest.mark.parametrize("mode", ["eager", "graph"])
def test_many_rois_over_one_cell_lose_no_gradient_and_repeat_bit_for_bit(run_in, mode):
    # TensorFlow's own gradient loses some in most calls where it has two threads.
    rng = np.random.default_rng(0)
    corners = rng.uniform([0, 4.5], [4.5, 9], (1, 100, 2, 2))
    cells = np.moveaxis(corners, 3, 2).reshape(1, 100, 4).astype(np.float32)
    upstream = rng.normal(size=(100, 14, 14, 256)).astype(np.float32)
    features = np.zeros([1, 10, 10, 256], np.float32)
    run = run_in(mode, gradient_in_cells)
    gradients = [run(features, cells, upstream) for _ in range(20)]
    expected = expected_gradient(cells, upstream, (10, 10))
    np.testing.assert_allclose(gradients[0], expected, rtol=0, atol=2e-4)
    for gradient in gradients[1:]:
        np.testing.assert_array_equal(gradient, gradients[0])


def test_maps_and_numbers_of_rois_may_be_unknown_for_the_gradient():
    rng = np.random.default_rng(0)
    run = tf.function(
        gradient_in_cells,
        input_signature=[
            tf.TensorSpec([None, None, None, 3]),
            tf.TensorSpec([None, None, 4]),
            tf.TensorSpec([None, 7, 7, 3]),
        ],
        autograph=False,
    )
    for num_rois in (4, 1, 0):
        cells = rng.uniform(0, 5, (2, num_rois, 4)).astype(np.float32)
        upstream = rng.normal(size=(2 * num_rois, 7, 7, 3)).astype(np.float32)
        gradient = run(np.zeros([2, 5, 6, 3], np.float32), cells, upstream)
        expected = expected_gradient(cells, upstream, (5, 6))
        np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("route", [crop_pool, by_gather])
def test_boxes_are_constants_for_the_gradient(route):
    boxes = tf.constant([[[16.0, 32.0, 64.0, 80.0]]])
    features = tf.constant(numbered_map(6, 7))
    with tf.GradientTape() as tape:
        tape.watch([features, boxes])
        pooled = route(features, boxes, stride=16)
    of_features, of_boxes = tape.gradient(pooled, [features, boxes])
    assert np.ptp(of_features) > 0 and of_boxes is None
