import functools

import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.ops.roi import crop_pool

YX = [1, 0, 3, 2]  # x1, y1, x2, y2 <-> ymin, xmin, ymax, xmax
ROUTES = {
    "image op, eager": ("eager", False),
    "image op, graph": ("graph", False),
    "matmul, eager": ("eager", True),
    "matmul, graph": ("graph", True),
    "matmul, xla": ("xla", True),
}


@pytest.fixture(params=ROUTES)
def crop(request, run_in):
    """Is `crop_pool` by one route; `tf.image.crop_and_resize` has no XLA kernel."""
    mode, by_matmul = ROUTES[request.param]
    return functools.partial(run_in(mode, crop_pool), by_matmul=by_matmul)


@pytest.fixture(params=ROUTES)
def crop_gradient(request, run_in):
    """Is the gradient of sum(crop_pool * upstream) by one route."""
    mode, by_matmul = ROUTES[request.param]
    run = run_in(mode, gradient_to_features)
    return functools.partial(run, by_matmul=by_matmul)


def gradient_to_features(features, boxes, upstream, *, by_matmul):
    with tf.GradientTape() as tape:
        tape.watch(features)
        pooled = crop_pool(features, boxes, stride=16, by_matmul=by_matmul)
        total = tf.reduce_sum(pooled * upstream)
    return tape.gradient(total, features)


def numbered_map(rows, columns):
    """Returns a map whose cell (y, x) holds 10 y + x and its negative."""
    cells = 10 * np.arange(rows)[:, np.newaxis] + np.arange(columns)
    return np.float32(np.stack([cells, -cells], axis=-1))[np.newaxis]


def for_both_images(rois):
    """Turns (image, x1, y1, x2, y2) into the same boxes in both images."""
    return np.tile(rois[np.newaxis, :, 1:][..., YX], [2, 1, 1])


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


def test_crops_equal_tf_faster_rcnn(golden, crop):
    stored = golden("roi_pooling")
    rois = stored["rois"]
    pooled = crop(stored["features"], for_both_images(rois), stride=16)
    own = pooled[rois[:, 0].astype(int), np.arange(len(rois))]
    np.testing.assert_allclose(own, stored["crop_pool"], rtol=0, atol=2e-5)


def test_gradients_of_crops_equal_tf_faster_rcnn(golden, crop_gradient):
    stored = golden("roi_pooling")
    rois = stored["rois"]
    is_own = np.arange(2)[:, np.newaxis] == rois[:, 0]
    upstream = np.where(is_own[..., np.newaxis, np.newaxis, np.newaxis], 1, 0)
    upstream = np.float32(upstream * stored["grad_out"])
    gradient = crop_gradient(stored["features"], for_both_images(rois), upstream)
    np.testing.assert_allclose(gradient, stored["crop_pool_grad"], rtol=0, atol=5e-5)


def test_the_routes_agree_inside_and_outside_the_map(run_in):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(2, 19, 25, 3)).astype(np.float32)
    corners = rng.uniform(-60, 460, (2, 60, 2, 2)).astype(np.float32)
    boxes = np.sort(corners, axis=2).reshape(2, 60, 4)
    expected = run_in("eager", crop_pool)(features, boxes, stride=16)
    for mode in ("eager", "graph", "xla"):
        pooled = run_in(mode, crop_pool)(features, boxes, stride=16, by_matmul=True)
        np.testing.assert_allclose(pooled, expected, rtol=0, atol=2e-5, err_msg=mode)


def test_the_crops_of_an_image_do_not_depend_on_its_batch_mates(crop):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(3, 9, 11, 2)).astype(np.float32)
    corners = rng.uniform(0, 140, (3, 5, 2, 2)).astype(np.float32)
    boxes = np.sort(corners, axis=2).reshape(3, 5, 4)
    batch = crop(features, boxes, stride=16)
    alone = crop(features[1:2], boxes[1:2], stride=16)
    np.testing.assert_allclose(batch[1:2], alone, rtol=0, atol=1e-6)


@pytest.mark.parametrize("by_matmul", [False, True])
@pytest.mark.parametrize("num_rois", [None, 5])
def test_maps_of_unknown_size_give_the_same_crops(by_matmul, num_rois):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(2, 9, 11, 3)).astype(np.float32)
    corners = rng.uniform(0, 140, (2, 5, 2, 2)).astype(np.float32)
    boxes = np.sort(corners, axis=2).reshape(2, 5, 4)
    traced = tf.function(
        lambda *inputs: crop_pool(*inputs, stride=16, by_matmul=by_matmul),
        input_signature=[
            tf.TensorSpec([None, None, None, 3]),
            tf.TensorSpec([None, num_rois, 4]),
        ],
        autograph=False,
    )
    expected = crop_pool(features, boxes, stride=16, by_matmul=by_matmul)
    np.testing.assert_allclose(traced(features, boxes), expected, rtol=0, atol=1e-6)
    assert traced.get_concrete_function().output_shapes[2:] == [7, 7, 3]
