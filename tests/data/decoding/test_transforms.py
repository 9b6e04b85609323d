import io

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from tf_frcnn.data.decoding.transforms import (
    decode_image,
    flip,
    turn_upright,
)

# Each orientation shows the image [[1, 2, 3], [4, 5, 6]] once it is turned upright.
STORED = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)[..., np.newaxis]
UPRIGHT = {
    1: [[1, 2, 3], [4, 5, 6]],
    2: [[3, 2, 1], [6, 5, 4]],
    3: [[6, 5, 4], [3, 2, 1]],
    4: [[4, 5, 6], [1, 2, 3]],
    5: [[1, 4], [2, 5], [3, 6]],
    6: [[4, 1], [5, 2], [6, 3]],
    7: [[6, 3], [5, 2], [4, 1]],
    8: [[3, 6], [2, 5], [1, 4]],
}

FORMATS = {
    "jpeg": ("RGB", "JPEG", {"quality": 90}),
    "progressive jpeg": ("RGB", "JPEG", {"progressive": True}),
    "cmyk jpeg": ("CMYK", "JPEG", {"quality": 95}),
    "grey jpeg": ("L", "JPEG", {}),
    "camera jpeg": ("RGB", "MPO", {}),
    "png": ("RGB", "PNG", {}),
    "grey png": ("L", "PNG", {}),
    "one-bit png": ("1", "PNG", {}),
    "palette png": ("P", "PNG", {}),
    "grey png with transparency": ("LA", "PNG", {}),
    "bmp": ("RGB", "BMP", {}),
    "grey bmp": ("L", "BMP", {}),
    "gif": ("P", "GIF", {}),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("mode", ["eager", "graph"])
def test_each_exif_orientation_is_turned_upright(run_in, mode, orientation):
    turned = run_in(mode, turn_upright)(STORED, np.int32(orientation))
    np.testing.assert_array_equal(turned[..., 0], UPRIGHT[orientation])


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_a_turned_photograph_equals_pillows(image_of, file_of, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = file_of(image_of(24, 41), "JPEG", quality=95, exif=exif)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    decoded = decode_image(tf.constant(data), tf.constant(orientation))
    np.testing.assert_allclose(
        decoded.numpy().astype(int), np.asarray(expected).astype(int), atol=1
    )


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_decodes_to_the_rgb_that_pillow_sees(image_of, file_of, name):
    mode, image_format, options = FORMATS[name]
    data = file_of(image_of(24, 41).convert(mode), image_format, **options)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    decoded = decode_image(tf.constant(data), tf.constant(1)).numpy()
    assert decoded.dtype == np.uint8
    np.testing.assert_allclose(decoded.astype(int), expected.astype(int), atol=1)


def test_transparency_is_ignored(image_of, file_of):
    image = image_of(24, 41)
    transparent = image.copy()
    transparent.putalpha(Image.linear_gradient("L").resize((41, 24)))
    decoded = decode_image(tf.constant(file_of(transparent, "PNG")), tf.constant(1))
    np.testing.assert_array_equal(decoded, np.asarray(image))


def test_of_sixteen_bits_the_high_byte_counts(file_of):
    grey = np.array([[0, 255, 256, 65535, 0x80FF]], np.uint16)
    data = file_of(Image.fromarray(grey), "PNG")
    decoded = decode_image(tf.constant(data), tf.constant(1))
    np.testing.assert_array_equal(decoded[0, :, 0], [0, 0, 1, 255, 128])


def test_of_an_animation_the_first_frame_is_taken(image_of, file_of):
    frames = [image_of(24, 41, seed).convert("P") for seed in (0, 1)]
    data = file_of(frames[0], "GIF", save_all=True, append_images=frames[1:])
    decoded = decode_image(tf.constant(data), tf.constant(1))
    first = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    np.testing.assert_array_equal(decoded, first)


def test_mirroring_moves_a_box_with_its_pixels(in_mode):
    image = np.zeros([4, 6, 3], np.uint8)
    image[1:3, 0:2] = 9
    mirrored, boxes = in_mode(flip)(image, np.array([[1, 0, 3, 2]], np.float32))
    np.testing.assert_array_equal(boxes, [[1, 4, 3, 6]])
    assert (mirrored[1:3, 4:6] == 9).all() and mirrored.sum() == image.sum()


@given(
    st.lists(
        st.tuples(*[st.integers(0, 30)] * 4).map(lambda box: [float(c) for c in box]),
        max_size=4,
    )
)
def test_mirroring_twice_changes_nothing(boxes):
    boxes = tf.reshape(tf.constant(boxes, tf.float32), [-1, 4])
    image = tf.reshape(tf.range(5 * 30 * 3), [5, 30, 3])
    twice_image, twice_boxes = flip(*flip(image, boxes))
    np.testing.assert_array_equal(twice_image, image)
    np.testing.assert_array_equal(twice_boxes, boxes)
