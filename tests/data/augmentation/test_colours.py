import colorsys

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_frcnn.data.augmentation.colours import change_colours
from tf_frcnn.data.augmentation.plan import Augmentation

PIXELS = np.float32([[[200, 100, 50], [10, 20, 30]], [[0, 0, 0], [90, 90, 90]]])
GREYS = PIXELS @ np.float32([0.299, 0.587, 0.114])


def change(seed=(3, 4), pixels=PIXELS, **settings):
    image = tf.constant(pixels)
    seed = tf.constant(seed, tf.int64)
    return change_colours(image, Augmentation(**settings), seed).numpy()


def test_nothing_changes_without_settings():
    np.testing.assert_array_equal(change(), PIXELS)


def test_brightness_is_a_factor_of_all_values():
    changed = change(brightness=0.2)
    factor = changed[0, 0, 0] / 200
    assert 0.8 <= factor <= 1.2 and factor != 1.0
    np.testing.assert_allclose(changed, PIXELS * factor, rtol=1e-5)


def test_contrast_is_a_factor_of_the_distance_from_the_mean_grey():
    changed = change(contrast=0.1)
    distance = PIXELS - GREYS.mean()
    # The black pixel and the largest value are not clipped by so little.
    factor = (changed[1, 1, 0] - GREYS.mean()) / distance[1, 1, 0]
    assert 0.9 <= factor <= 1.1 and factor != 1.0
    expected = np.clip(GREYS.mean() + factor * distance, 0, 255)
    np.testing.assert_allclose(changed, expected, atol=1e-3)


def test_saturation_is_a_factor_of_the_distance_from_the_own_grey():
    changed = change(saturation=0.5)
    distance = PIXELS - GREYS[..., None]
    factor = (changed[0, 0, 0] - GREYS[0, 0]) / distance[0, 0, 0]
    assert 0.5 <= factor <= 1.5 and factor != 1.0
    expected = np.clip(GREYS[..., None] + factor * distance, 0, 255)
    np.testing.assert_allclose(changed, expected, atol=1e-3)


def hsv_of(pixel):
    return colorsys.rgb_to_hsv(*(pixel / 255))


def test_the_hue_is_shifted_and_the_rest_stays():
    changed = change(hue=0.2)
    before, after = hsv_of(PIXELS[0, 0]), hsv_of(changed[0, 0])
    np.testing.assert_allclose(after[1:], before[1:], atol=1e-5)
    shift = (after[0] - before[0] + 0.5) % 1.0 - 0.5
    assert 0 < abs(shift) <= 0.2
    np.testing.assert_allclose(changed[1], PIXELS[1], atol=1e-3)  # without a hue


def test_hsv_multiplies_hue_saturation_and_value():
    changed = change(hsv=(0.1, 0.2, 0.2))
    for row, column in ((0, 0), (0, 1)):
        before, after = hsv_of(PIXELS[row, column]), hsv_of(changed[row, column])
        factors = np.array(after) / before
        assert (np.abs(factors - 1) <= [0.1001, 0.2001, 0.2001]).all()
        assert (factors != 1).all()
    again = np.array(hsv_of(changed[0, 0])) / hsv_of(PIXELS[0, 0])
    np.testing.assert_allclose(again, factors, rtol=1e-4)


def test_the_colours_of_some_images_are_lost():
    images = [change((3, k), grey=0.25) for k in range(80)]
    is_grey = [(image[..., 0] == image[..., 1]).all() for image in images]
    # 20 expected, with a standard deviation of 3.9.
    assert 8 <= sum(is_grey) <= 32
    grey = images[is_grey.index(True)]
    np.testing.assert_allclose(grey, np.repeat(GREYS[..., None], 3, -1), atol=1e-3)
    np.testing.assert_array_equal(images[is_grey.index(False)], PIXELS)


ALL = {"brightness": 0.9, "contrast": 0.9, "saturation": 0.9, "hue": 0.5}


@settings(deadline=None, max_examples=25)
@given(seed=st.tuples(st.integers(0, 2**62), st.integers(0, 2**62)))
def test_values_stay_in_their_range(seed):
    noise = np.random.default_rng(0).uniform(0, 255, [4, 5, 3]).astype(np.float32)
    changed = change(seed, noise, **ALL, hsv=(0.5, 0.9, 0.9), grey=0.2)
    assert changed.dtype == np.float32 and np.isfinite(changed).all()
    assert changed.min() >= 0 and changed.max() <= 255


@pytest.mark.parametrize("name", [*ALL, "hsv"])
def test_seeds_change_the_draw_and_repeat_it(name):
    value = (0.1, 0.2, 0.2) if name == "hsv" else ALL[name]
    first, again, other = (change((1, k), **{name: value}) for k in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
