import functools

import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.ops.roi_crop import crop_pool, crop_pool_by_gather


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
