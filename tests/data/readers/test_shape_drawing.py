import numpy as np
import pytest

from tf_frcnn.data.readers.shape_drawing import (
    SHAPE_CLASSES,
    contrasting_color,
    draw_background,
    draw_shape,
)


@pytest.mark.parametrize("class_name", SHAPE_CLASSES)
def test_masks_touch_all_four_borders_and_have_about_the_size_asked_for(class_name):
    for seed in range(20):
        mask = draw_shape(np.random.default_rng(seed), class_name, 40)
        for border in (mask[0], mask[-1], mask[:, 0], mask[:, -1]):
            assert border.any()
        assert 20 < np.sqrt(mask.size) < 75


@pytest.mark.parametrize("class_name", SHAPE_CLASSES)
def test_some_shapes_are_filled_and_some_are_outlines(class_name):
    shares = [
        draw_shape(np.random.default_rng(seed), class_name, 60).mean()
        for seed in range(30)
    ]
    assert max(shares) > 1.3 * min(shares)


def test_a_filled_ellipse_covers_its_share_of_the_box():
    """An ellipse covers pi / 4 of its box, tilted or not a little less."""
    shares = [
        draw_shape(np.random.default_rng(seed), "ellipse", 80).mean()
        for seed in range(30)
    ]
    assert 0.7 < max(shares) <= np.pi / 4 + 0.02


def test_the_color_is_far_from_the_pixels_beneath():
    for seed in range(30):
        rng = np.random.default_rng(seed)
        beneath = np.tile(rng.uniform(0, 255, 3), [5, 1])
        color = contrasting_color(rng, beneath)
        assert np.linalg.norm(color - beneath[0]) > 80


def test_backgrounds_are_images_of_the_size_asked_for_and_none_like_another():
    first, second = (
        draw_background(np.random.default_rng(seed), 30, 50) for seed in (0, 1)
    )
    assert first.shape == (30, 50, 3)
    assert first.min() >= 0 and first.max() <= 255
    assert np.abs(first - second).mean() > 10
