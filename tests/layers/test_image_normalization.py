import numpy as np
import pytest

from tf_frcnn.layers import ImageNormalization


def test_caffe_gives_blue_green_red_minus_their_means():
    red_green_blue = np.float32([[[[123.68 + 1, 116.779 + 2, 103.939 + 3]]]])
    normalised = ImageNormalization("caffe")(red_green_blue, np.float32([[1, 1]]))
    np.testing.assert_allclose(normalised, [[[[3, 2, 1]]]], atol=1e-4)


def test_unit_gives_red_green_blue_from_minus_1_to_1():
    red_green_blue = np.float32([[[[0, 127.5, 255]]]])
    normalised = ImageNormalization("unit")(red_green_blue, np.float32([[1, 1]]))
    np.testing.assert_allclose(normalised, [[[[-1, 0, 1]]]], atol=1e-6)


@pytest.mark.parametrize("mode", ["caffe", "unit"])
def test_all_beyond_the_picture_is_zero(mode):
    images = np.full([2, 3, 4, 3], 255, np.float32)
    normalised = ImageNormalization(mode)(images, np.float32([[2, 3], [3, 1]]))
    inside = np.zeros([2, 3, 4], bool)
    inside[0, :2, :3] = inside[1, :, :1] = True
    np.testing.assert_array_equal(np.any(normalised != 0, axis=-1), inside)


def test_a_picture_that_fills_its_canvas_is_kept_whole():
    images = np.zeros([1, 2, 3, 3], np.float32)
    normalised = ImageNormalization("caffe")(images, np.float32([[2, 3]]))
    means = np.float32([-103.939, -116.779, -123.68])
    np.testing.assert_allclose(normalised, np.tile(means, [1, 2, 3, 1]), rtol=1e-6)


def test_an_unknown_mode_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match=r"mode = 'torch'.*caffe.*unit"):
        ImageNormalization("torch")
