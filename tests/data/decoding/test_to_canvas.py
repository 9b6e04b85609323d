import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.data.decoding.resizing import (
    RESIZE_METHODS,
    Resizing,
    plan_resize,
    resize,
)
from tf_frcnn.data.decoding.to_canvas import (
    fits_a_canvas,
    lay_on_canvas,
    own_canvases,
    smallest_canvas,
    to_network_size,
)

IMAGE = np.random.default_rng(0).integers(0, 256, (33, 50, 3), np.uint8)
# The sizes of the image at 24 and 48 pixels, and what it is scaled by.
SIZES = {24: (24, 36), 48: (48, 73)}


def in_graph(resizing, **settings):
    """Returns what is made of the image in a graph that does not know its size."""

    @tf.function(input_signature=[tf.TensorSpec([None, None, 3], tf.uint8)])
    def run(image):
        return to_network_size(image, resizing, **settings)

    return run(IMAGE)


def test_an_image_gets_its_size_its_scales_and_its_boxes():
    boxes = tf.constant([[0.0, 0, 33, 50], [11, 10, 22, 25]])
    image, boxes = in_graph(Resizing((24,), 64, 32), boxes=boxes)
    assert image.keys() == {"images", "image_sizes", "scales", "file_sizes"}
    assert image["images"].shape == (24, 36, 3) and image["images"].dtype == tf.float32
    np.testing.assert_array_equal(image["image_sizes"], [24, 36])
    np.testing.assert_array_equal(image["file_sizes"], [33, 50])
    np.testing.assert_allclose(image["scales"], [24 / 33, 36 / 50])
    expected = [[0, 0, 24, 36], [8, 7.2, 16, 18]]
    np.testing.assert_allclose(boxes, expected, rtol=1e-6)


@pytest.mark.parametrize("method", RESIZE_METHODS)
def test_the_size_and_the_pixels_are_those_of_the_method(method):
    # A side drawn in the graph and the only one give the same.
    resizing = Resizing((24,), 64, 32, method)
    image, _ = in_graph(resizing)
    drawn, _ = in_graph(resizing, short_side=tf.constant([48, 24], tf.int64)[1])
    plan = plan_resize(33, 50, 24, 64, method)
    expected, _ = resize(tf.constant(IMAGE), tf.zeros([0, 4]), plan, method)
    np.testing.assert_array_equal(image["image_sizes"], plan.sizes)
    np.testing.assert_array_equal(image["scales"], tf.cast(plan.scales, tf.float32))
    np.testing.assert_allclose(image["images"], expected, atol=1e-3)
    for name, values in image.items():
        np.testing.assert_array_equal(drawn[name], values, err_msg=name)


@pytest.mark.parametrize("short_side", SIZES)
def test_of_several_short_sides_one_is_chosen(short_side):
    image, _ = in_graph(Resizing((24, 48), 80, 32), short_side=short_side)
    np.testing.assert_array_equal(image["image_sizes"], SIZES[short_side])


def test_a_size_may_be_refused_before_it_is_made():
    def refuse(size):
        with tf.control_dependencies([tf.debugging.Assert(size[1] < 50, ["so long"])]):
            return tf.identity(size)

    assert in_graph(Resizing((24,), 64, 32), check_size=refuse)[0]["images"].shape[1]
    with pytest.raises(tf.errors.InvalidArgumentError, match="so long"):
        in_graph(Resizing((48,), 80, 32), check_size=refuse)


@pytest.mark.parametrize(
    ("canvases", "expected"),
    [
        (16, (32, 48)),
        (1, (30, 40)),
        ([(64, 64), (32, 48), (48, 32)], (32, 48)),
        # None holds it, but the largest sides of all do.
        ([(20, 48), (32, 32)], (32, 48)),
    ],
)
def test_a_batch_lies_in_the_corner_of_its_canvas(canvases, expected):
    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3])])
    def run(images):
        return lay_on_canvas(images, canvases)

    images = np.random.default_rng(0).uniform(1, 255, (2, 30, 40, 3)).astype(np.float32)
    padded = run(images).numpy()
    assert padded.shape == (2, *expected, 3)
    np.testing.assert_array_equal(padded[:, :30, :40], images)
    assert not padded[:, 30:].any() and not padded[:, :, 40:].any()


def test_the_smallest_canvas_that_holds_a_size_is_found(in_mode):
    canvases = np.array([[32, 64], [64, 32], [64, 64], [96, 64]])
    sizes = np.array([[[32, 64], [33, 32]], [[40, 40], [65, 2]]])
    np.testing.assert_array_equal(
        in_mode(smallest_canvas)(sizes, canvases), [[0, 1], [2, 3]]
    )


def test_of_canvases_of_the_same_area_the_first_is_taken(in_mode):
    canvases = np.array([[99, 99], [64, 48], [48, 64]])
    assert in_mode(smallest_canvas)(np.array([10, 20]), canvases) == 1


def test_a_canvas_of_its_own_is_a_size_rounded_up_to_multiples(in_mode):
    sizes = np.array([[600, 800], [608, 1], [1, 33]])
    np.testing.assert_array_equal(
        in_mode(own_canvases)(sizes, multiple=32), [[608, 800], [608, 32], [32, 64]]
    )
    np.testing.assert_array_equal(in_mode(own_canvases)(sizes, multiple=1), sizes)


def test_an_image_fits_if_one_canvas_holds_both_of_its_sides(in_mode):
    canvases = ((32, 64), (64, 32))
    fits = in_mode(lambda size: fits_a_canvas(size, canvases))
    assert fits(np.float32([32, 64])) and fits(np.float32([60, 32]))
    assert not fits(np.float32([33, 33])) and not fits(np.float32([32, 65]))
    assert fits_a_canvas(tf.constant([999, 999]), 32)
