import numpy as np
import pytest

from tf_frcnn.config import load_config, make_config
from tf_frcnn.doctor.reach import best_ious, network_objects
from tf_frcnn.doctor.search import (
    fit_anchors,
    fit_of_own,
    reach_limit,
    sample_of,
    with_anchors,
)


@pytest.fixture
def config():
    images = {"short_side": 480, "long_side": 640}
    return make_config({"anchors": {"style": "centred"}, "images": images}, "test")


def test_one_size_of_objects_takes_one_anchor_of_that_size(squares_of, config):
    objects = network_objects(squares_of({"a": (128, 3)}), config)
    fit = fit_anchors(objects, config)
    assert (fit.scales, fit.ratios) == ((8.0,), (1.0,))
    assert fit.reach == fit.limit == 1.0


def test_every_class_gets_its_anchor_however_rare(squares_of, config):
    objects = network_objects(squares_of({"a": (128, 30), "rare": (48, 1)}), config)
    fit = fit_anchors(objects, config)
    assert len(fit.scales) == 2 and fit.scales[0] == 3.0
    assert fit.reach > 0.99


def test_what_later_anchors_made_needless_is_left_out(squares_of, config):
    # The best single anchor lies between both sizes.
    objects = network_objects(squares_of({"a": (80, 5), "b": (160, 5)}), config)
    assert fit_anchors(objects, config).scales == (5.0, 10.0)


def test_tall_objects_take_tall_anchors(set_of, config):
    rng = np.random.default_rng(0)
    places = rng.uniform(0, 200, (40, 2))
    boxes = [(y, x, y + 192, x + 48) for y, x in places]
    examples = set_of([(480, 640, boxes, [0] * 40)], ("a",))
    fit = fit_anchors(network_objects(examples, config), config)
    assert fit.ratios == (4.0,)  # the height over the width
    assert fit.scales == (6.0,)


def test_the_fit_says_what_the_anchors_reach(squares_of, config):
    objects = network_objects(squares_of({"a": (100, 3), "b": (30, 2)}), config)
    fit = fit_anchors(objects, config)
    ious = best_ious(objects, with_anchors(config, fit.scales, fit.ratios))
    shares = [np.mean(ious[objects.labels == label] >= 0.5) for label in (0, 1)]
    assert fit.reach == pytest.approx(np.mean(shares))
    assert fit.reach >= fit.limit - 0.005
    assert fit_of_own(objects, config).reach < fit.reach
    assert reach_limit(objects, config) == fit.limit


def test_the_search_finds_the_same_again(squares_of, config):
    objects = network_objects(squares_of({"a": (90, 5), "b": (37, 4)}), config)
    assert fit_anchors(objects, config) == fit_anchors(objects, config)


def test_of_many_shapes_no_more_anchors_than_a_network_should_have(set_of, config):
    rng = np.random.default_rng(0)
    sides = np.exp(rng.uniform(np.log(10), np.log(400), (300, 2)))
    low = rng.uniform(0, 1, (300, 2)) * ((480, 640) - np.minimum(sides, 400))
    boxes = np.minimum(np.concatenate([low, low + sides], 1), (480, 640, 480, 640))
    examples = set_of([(480, 640, boxes, [0] * 300)], ("a",))
    fit = fit_anchors(network_objects(examples, config), config)
    assert 9 < len(fit.scales) * len(fit.ratios) <= 25


def test_a_recipe_with_sizes_gets_sizes():
    config = load_config("torchvision_mobilenet_v3_large_fpn")
    changed = with_anchors(config, (1.0, 2.5), (0.7, 1.0))
    assert changed.anchors.sizes == (32.0, 80.0)
    assert changed.anchors.ratios == (0.7, 1.0)


def test_a_sample_has_objects_of_every_class_from_everywhere(set_of, config):
    box = (0, 0, 9, 9)
    images = [(480, 640, [box] * 3000, [0] * 3000)] * 2
    images += [(480, 640, [box] * 20, [1] * 20)]
    objects = network_objects(set_of(images, ("a", "b")), config)
    sample = sample_of(objects)
    assert np.bincount(sample.labels).tolist() == [2000, 20]
    few = sample_of(sample)
    np.testing.assert_array_equal(few.labels, sample.labels)
