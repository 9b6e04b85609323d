import numpy as np
import pytest

from tf_frcnn.layers import Preprocessing

MODES = ["caffe", "chainer", "fast_rcnn", "raw", "scaled", "torch", "unit"]


def test_caffe_gives_blue_green_red_minus_their_means():
    red_green_blue = np.float32([[[[123.68 + 1, 116.779 + 2, 103.939 + 3]]]])
    normalised = Preprocessing({"mode": "caffe"})(red_green_blue, np.float32([[1, 1]]))
    np.testing.assert_allclose(normalised, [[[[3, 2, 1]]]], atol=1e-4)


def test_unit_gives_red_green_blue_from_minus_1_to_1():
    red_green_blue = np.float32([[[[0, 127.5, 255]]]])
    normalised = Preprocessing({"mode": "unit"})(red_green_blue, np.float32([[1, 1]]))
    np.testing.assert_allclose(normalised, [[[[-1, 0, 1]]]], atol=1e-6)


def test_torch_gives_red_green_blue_minus_their_means_over_their_deviations():
    red_green_blue = np.float32([[[[255 * 0.485, 255 * (0.456 + 0.224), 255 * 0.181]]]])
    normalised = Preprocessing({"mode": "torch"})(red_green_blue, np.float32([[1, 1]]))
    # (0.181 - 0.406) / 0.225 = -1
    np.testing.assert_allclose(normalised, [[[[0, 1, -1]]]], atol=1e-5)


def test_scaled_gives_red_green_blue_from_0_to_1():
    red_green_blue = np.float32([[[[0, 51, 255]]]])
    normalised = Preprocessing({"mode": "scaled"})(red_green_blue, np.float32([[1, 1]]))
    np.testing.assert_allclose(normalised, [[[[0, 0.2, 1]]]], atol=1e-6)


@pytest.mark.parametrize(
    ("mode", "blue_green_red"),
    [
        ("fast_rcnn", [97.0199, 4.0535, -112.7717]),
        ("chainer", [77.2283, 4.0535, -92.9801]),  # blue minus the mean of red
    ],
)
def test_the_detectors_of_the_caffe_line_have_means_of_their_own(mode, blue_green_red):
    red_green_blue = np.float32([[[[10, 120, 200]]]])
    normalised = Preprocessing({"mode": mode})(red_green_blue, np.float32([[1, 1]]))
    np.testing.assert_allclose(normalised[0, 0, 0], blue_green_red, atol=1e-4)


def test_raw_keeps_the_image():
    red_green_blue = np.float32([[[[0, 100, 255]]]])
    normalised = Preprocessing({"mode": "raw"})(red_green_blue, np.float32([[1, 1]]))
    np.testing.assert_array_equal(normalised, red_green_blue)


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_gives_the_same_when_compiled(in_mode, mode):
    images = np.random.default_rng(0).uniform(0, 255, (2, 5, 7, 3)).astype(np.float32)
    sizes = np.float32([[5, 7], [3, 2]])
    layer = Preprocessing({"mode": mode})
    results = in_mode(layer)(images, sizes)
    np.testing.assert_allclose(results, layer(images, sizes), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_all_beyond_the_image_is_zero(mode):
    images = np.full([2, 3, 4, 3], 255, np.float32)
    normalised = Preprocessing({"mode": mode})(images, np.float32([[2, 3], [3, 1]]))
    inside = np.zeros([2, 3, 4], bool)
    inside[0, :2, :3] = inside[1, :, :1] = True
    np.testing.assert_array_equal(np.any(normalised != 0, axis=-1), inside)


def test_an_image_that_fills_its_canvas_is_kept_whole():
    images = np.zeros([1, 2, 3, 3], np.float32)
    normalised = Preprocessing({"mode": "caffe"})(images, np.float32([[2, 3]]))
    means = np.float32([-103.939, -116.779, -123.68])
    np.testing.assert_allclose(normalised, np.tile(means, [1, 2, 3, 1]), rtol=1e-6)


def test_an_unknown_mode_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match=r"mode = 'tf' .* caffe, chainer, fast_rcnn"):
        Preprocessing({"mode": "tf"})
