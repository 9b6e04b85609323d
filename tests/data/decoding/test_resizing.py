import math

import cv2
import numpy as np
import pytest
import skimage.transform
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.helpers.paths import SHARED
from tf_frcnn.data.decoding.resizing import RESIZE_METHODS, plan_resize, resize
from tf_frcnn.data.decoding.transforms import decode_image
from tf_frcnn.data.readers.shapes import make_shapes

BLOOD = sorted((SHARED / "data" / "bccd" / "JPEGImages").glob("*.jpg"))[:2]
LIMITS = {"grows": (600, 1000), "shrinks": (77, 101), "the long side": (600, 621)}

# (height, width) of images, and of what torchvision 0.14.1 makes of them at 800 and
# 1333 pixels.
TORCHVISION_SIZES = [
    (375, 500, 799, 1066),
    (480, 640, 800, 1066),
    (41, 60, 799, 1170),
    (41, 41, 799, 799),
    (500, 333, 1201, 799),
    (1080, 1920, 749, 1333),
    (1333, 800, 1333, 800),
    (55, 82, 799, 1192),
    (39, 730, 71, 1332),
    (574, 271, 1333, 629),
]


@pytest.fixture(scope="module")
def images():
    """Real images of BCCD if it is there, and drawn ones; uint8 [h, w, 3]."""
    drawn = [data for _, data in make_shapes(6, seed=3).stream()]
    stored = [path.read_bytes() for path in BLOOD]
    return [decode_image(data, tf.constant(1)).numpy() for data in [*stored, *drawn]]


def resized(image, method, limits):
    """Returns the plan and the image as the pipeline resizes it, in a graph."""

    @tf.function
    def run(image):
        plan = plan_resize(*tf.unstack(tf.shape(image)[:2]), *limits, method)
        return plan, resize(image, tf.zeros([0, 4]), plan, method)[0]

    plan, image = run(tf.constant(image))
    return plan, image.numpy()


def sides_of(number=4000):
    """Returns int [n, 2], (height, width): drawn ones, squares and steep ones."""
    drawn = np.random.default_rng(0).integers(1, 2001, (number, 2))
    sides = np.arange(1, 2001)
    squares = np.stack([sides, sides], axis=1)
    return np.concatenate([drawn, squares, np.stack([sides, 2001 - sides], axis=1)])


def caffe_scale(height, width, short_side, long_side):
    scale = float(short_side) / min(height, width)
    if np.round(scale * max(height, width)) > long_side:
        scale = float(long_side) / max(height, width)
    return scale


def caffe_size(height, width, short_side, long_side):
    scale = caffe_scale(height, width, short_side, long_side)
    return round(height * scale), round(width * scale)


def chainer_size(height, width, short_side, long_side):
    scale = min(short_side / min(height, width), long_side / max(height, width))
    zooms = [1 / (side / (side * scale)) for side in (height, width)]
    return round(height * zooms[0]), round(width * zooms[1])


def torchvision_size(height, width, short_side, long_side):
    one = np.float32(1)
    scale = min(
        np.float32(short_side) * (one / np.float32(min(height, width))),
        np.float32(long_side) * (one / np.float32(max(height, width))),
    )
    return math.floor(height * float(scale)), math.floor(width * float(scale))


def bicubic_size(height, width, short_side, _):
    if width <= height:
        return int(float(short_side) / width * height), short_side
    return short_side, int(float(short_side) / height * width)


SIZES = {
    "caffe": caffe_size,
    "chainer": chainer_size,
    "torchvision": torchvision_size,
    "bicubic": bicubic_size,
}


# Sizes ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((375, 500), (600, 800)),  # the short side decides
        ((300, 900), (333, 1000)),  # the long side would be 1800: it decides
        ((900, 300), (1000, 333)),
        ((600, 1000), (600, 1000)),  # both at once
        ((480, 480), (600, 600)),
        ((1200, 1601), (600, 801)),  # 800.5 rounds upwards
        ((1, 5000), (1, 1000)),  # 0.2 rows would be none
    ],
)
def test_the_resized_side_follows_the_rule(in_mode, size, expected):
    def rule(height, width):
        return plan_resize(height, width, 600, 1000).sizes

    assert tuple(in_mode(rule)(*map(np.int32, size))) == expected


@given(st.integers(1, 6000), st.integers(1, 6000))
def test_resized_sides_keep_the_limits_and_the_aspect(height, width):
    new = plan_resize(height, width, 600, 1000).sizes.numpy()
    assert new.min() <= 600 and new.max() <= 1000
    assert new.min() == 600 or new.max() == 1000
    scale = min(600 / min(height, width), 1000 / max(height, width))
    exact = np.array([height, width]) * scale
    assert (np.abs(new - np.maximum(exact, 1)) <= 0.5 + 1e-9).all()


@pytest.mark.parametrize("mode", ["eager", "graph"])
@pytest.mark.parametrize("limits", [(600, 1000), (800, 1333), (320, 640)])
@pytest.mark.parametrize("method", SIZES)
def test_the_sizes_are_those_of_the_program(run_in, method, limits, mode):
    limits = (limits[0], None) if method == "bicubic" else limits

    def rule(height, width):
        return plan_resize(height, width, *limits, method).sizes

    sides = sides_of()
    expected = [SIZES[method](*pair, *limits) for pair in sides.tolist()]
    own = run_in(mode, rule)(*sides.T)
    np.testing.assert_array_equal(own, np.maximum(expected, 1))


@pytest.mark.parametrize(
    ("method", "size", "expected"),
    [
        ("caffe", (1200, 1601), (600, 800)),  # 800.5 is rounded to even
        ("caffe", (1200, 1603), (600, 802)),
        ("torchvision", (41, 60), (799, 1170)),  # 41 * float32(800 / 41) < 800
        ("bicubic", (281, 281), (599, 600)),  # 281 * (600 / 281) < 600
        ("bicubic", (100, 900), (600, 5400)),
    ],
)
def test_a_size_by_hand(method, size, expected):
    limits = {"torchvision": (800, 1333), "bicubic": (600, None)}
    plan = plan_resize(*size, *limits.get(method, (600, 1000)), method)
    assert tuple(plan.sizes.numpy()) == expected


def test_the_sizes_of_torchvision_are_stored():
    sides = np.array(TORCHVISION_SIZES)
    own = plan_resize(*sides[:, :2].T, 800, 1333, "torchvision").sizes
    np.testing.assert_array_equal(own, sides[:, 2:])


@pytest.mark.parametrize("method", RESIZE_METHODS)
def test_without_a_limit_the_long_side_has_any_length(method):
    assert tuple(plan_resize(30, 3000, 60, None, method).sizes.numpy()) == (60, 6000)


def test_the_scales_of_boxes_are_those_of_the_program():
    def scales(method):
        return plan_resize(333, 500, 600, 1000, method).scales.numpy()

    np.testing.assert_allclose(scales("caffe"), [600 / 333] * 2, rtol=1e-15)
    # 0.6 * 1667 = 1000.2 is 1000, which the long side may have.
    plan = plan_resize(1000, 1667, 600, 1000, "caffe")
    np.testing.assert_allclose(plan.scales, [0.6, 0.6], rtol=1e-15)
    np.testing.assert_allclose(scales("chainer"), [901 / 500] * 2, rtol=1e-15)
    for method in ("bilinear", "torchvision", "bicubic"):
        size = plan_resize(333, 500, 600, 1000, method).sizes.numpy()
        np.testing.assert_allclose(scales(method), size / [333, 500], rtol=1e-15)


# Pixels -----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS)
def test_caffe_resizes_as_opencv(images, limits):
    for image in images:
        scale = caffe_scale(*image.shape[:2], *limits)
        image = image.astype(np.float32)
        expected = cv2.resize(image, None, fx=scale, fy=scale)  # bilinear
        plan, image = resized(image, "caffe", limits)
        np.testing.assert_allclose(plan.scales, [scale, scale], rtol=1e-15)
        np.testing.assert_allclose(image, expected, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS)
def test_chainer_resizes_as_scikit_image(images, limits):
    for image in images:
        height, width, _ = image.shape
        scale = min(limits[0] / min(height, width), limits[1] / max(height, width))
        expected = skimage.transform.resize(
            image.transpose(2, 0, 1) / 255,
            (3, height * scale, width * scale),
            mode="reflect",
            anti_aliasing=False,
        )
        _, image = resized(image, "chainer", limits)
        np.testing.assert_allclose(image, 255 * expected.transpose(1, 2, 0), atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("limits", [(600, None), (77, None)], ids=["grows", "shrinks"])
def test_bicubic_resizes_as_pillow(images, limits):
    for image in images:
        size = bicubic_size(*image.shape[:2], *limits)
        expected = np.asarray(
            Image.fromarray(image).resize(size[::-1], Image.Resampling.BICUBIC)
        )
        _, image = resized(image, "bicubic", limits)
        np.testing.assert_array_equal(image, expected)


def bilinear_by_hand(image, size):
    """Interpolates at (i + 0.5) * old / new - 0.5, held within the image."""
    image = image.astype(np.float64)
    for axis, new in enumerate(size):
        side = image.shape[axis]
        places = np.clip((np.arange(new) + 0.5) * side / new - 0.5, 0, side - 1)
        before = np.minimum(places.astype(int), max(side - 2, 0))
        after = np.minimum(before + 1, side - 1)
        weights = (places - before).reshape([-1, 1, 1] if axis == 0 else [1, -1, 1])
        near, far = (np.take(image, rows, axis) for rows in (before, after))
        image = near + (far - near) * weights
    return image


@pytest.mark.slow
@pytest.mark.parametrize("limits", LIMITS.values(), ids=LIMITS)
@pytest.mark.parametrize("method", ["bilinear", "torchvision"])
def test_torchvision_interpolates_at_the_ratio_of_the_sizes(images, method, limits):
    for image in images:
        plan, image = resized(image, method, limits)
        expected = bilinear_by_hand(image, plan.sizes.numpy())
        np.testing.assert_allclose(image, expected, atol=0.01)


@pytest.mark.parametrize("method", RESIZE_METHODS)
def test_an_image_of_one_row_keeps_its_colour(method):
    _, image = resized(np.full([1, 2, 3], 77, np.uint8), method, (5, 10))
    np.testing.assert_allclose(image, np.full([5, 10, 3], 77), atol=1e-4)


def test_boxes_are_resized_with_the_image():
    plan = plan_resize(10, 20, 25, 60)
    boxes = tf.constant([[0.0, 0, 10, 20], [1, 2, 3, 4]])
    image, boxes = resize(tf.zeros([10, 20, 3], tf.uint8), boxes, plan)
    assert image.shape == (25, 50, 3) and image.dtype == tf.float32
    np.testing.assert_array_equal(boxes, [[0, 0, 25, 50], [2.5, 5, 7.5, 10]])


def test_resizing_interpolates_between_pixel_centres():
    ramp = np.repeat(np.array([[[0.0], [4.0]]], np.float32), 3, axis=2)
    image, _ = resize(tf.constant(ramp), tf.zeros([0, 4]), plan_resize(1, 2, 2, 4))
    np.testing.assert_allclose(image[0, :, 0], [0, 1, 3, 4])


def test_shrinking_does_not_smooth():
    stripes = np.tile(np.array([0, 90, 0], np.float32)[:, np.newaxis], [1, 3])[None]
    plan = plan_resize(1, 3, 1, 1)
    image, _ = resize(tf.constant(stripes), tf.zeros([0, 4]), plan)
    np.testing.assert_allclose(image[0, 0], [90, 90, 90])


@pytest.mark.parametrize("method", RESIZE_METHODS)
def test_a_resized_box_covers_the_object_still(method):
    image = np.zeros([30, 41, 3], np.float32)
    image[10:20, 5:25] = 200
    plan = plan_resize(30, 41, 64, 200, method)
    box = tf.constant([[10.0, 5.0, 20.0, 25.0]])
    image, boxes = resize(tf.constant(image), box, plan, method)
    rows, columns = np.nonzero(image.numpy()[..., 0] > 100)
    covered = [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]
    np.testing.assert_allclose(boxes[0], covered, atol=1)
