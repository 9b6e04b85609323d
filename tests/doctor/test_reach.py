import dataclasses
import functools

import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.assembly import backbone_of
from tf_frcnn.backbones import BACKBONES
from tf_frcnn.config import load_config
from tf_frcnn.doctor.reach import best_ious, file_boxes, network_objects
from tf_frcnn.layers import AnchorGrid
from tf_frcnn.ops.boxes import inside_image, pairwise_iou

RECIPES = (
    "vgg16_voc07",  # caffe: inclusive pixels, anchors within the image
    "zf_voc07",
    "bccd_vgg16",  # real-valued anchors
    "simple_faster_rcnn_vgg16_voc07",  # its own canvas, and a map that is rounded down
    "bubbliiiing_vgg16_voc0712",  # about the corner, across the border
    "teaching_fpn_voc07",
    "torchvision_resnet50_fpn",  # rounded, and on the padding
    "torchvision_mobilenet_v3_large_fpn",  # sizes, and a map of stride 64
)


@pytest.fixture(scope="module")
def examples(set_of):
    """Images of odd sizes with boxes of any shape, some on the border."""
    rng, images = np.random.default_rng(3), []
    for height, width in ((375, 500), (500, 333), (121, 397), (480, 640)):
        sides = np.exp(rng.uniform(np.log(8), np.log(300), (30, 2)))
        low = rng.uniform(-0.2, 1.0, (30, 2)) * (height, width)
        boxes = np.concatenate([low, low + sides], 1)
        boxes = np.clip(boxes, 0, (height, width, height, width))
        wide = ((boxes[:, 2:] - boxes[:, :2]) > 3).all(axis=1)
        images.append((height, width, boxes[wide], np.zeros(wide.sum(), int)))
    return set_of(images, ("thing",))


@functools.cache
def built(name):
    return BACKBONES[name].build(frozen_blocks=0)


@functools.cache
def map_sizes(name, height, width):
    """Returns the (height, width) of the maps that the real backbone makes."""
    shapes = built(name).compute_output_shape((1, height, width, 3))
    return [shape[1:3] for shape in (shapes if isinstance(shapes, list) else [shapes])]


def best_on_the_grid(config, objects):
    """Returns the best IoU of the objects of one image with the anchors of its grid."""
    size, canvas = objects.image_sizes[:1].astype(np.float32), objects.canvases[0]
    grid = AnchorGrid(backbone_of(config).strides, config.anchors, config.conventions)
    sides = map_sizes(config.backbone.name, *map(int, canvas))
    maps = [np.zeros([1, *side, 1], np.float32) for side in sides]
    anchors, valid, _ = grid(maps, size, np.int32(canvas))
    plus_one, border = config.conventions.plus_one, config.rpn.allowed_border
    if border is not None:
        valid &= inside_image(anchors, size, border=border, plus_one=plus_one)
    boxes = tf.constant(objects.boxes, tf.float32)
    ious = pairwise_iou(anchors, boxes, plus_one=plus_one)
    return tf.reduce_max(tf.where(valid[0, :, None], ious, 0.0), axis=0).numpy()


@pytest.mark.slow
@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("border", ["own", 0.0, 30.0])
def test_the_best_iou_is_that_of_the_whole_grid(examples, recipe, border):
    config = load_config(recipe)
    if border != "own":
        config = config.replace(rpn=config.rpn.replace(allowed_border=border))
    objects = network_objects(examples, config)
    found = best_ious(objects, config)
    expected = []
    for row in range(len(examples.records)):
        own = network_objects(examples.subset([row]), config)
        expected.append(best_on_the_grid(config, own))
    np.testing.assert_allclose(found, np.concatenate(expected), atol=2e-5)
    assert 0.05 < np.mean(found > 0.5) < 1.0


def test_boxes_grow_with_their_image(set_of):
    images = [(100, 200, [(10, 20, 30, 40)], [0]), (300, 400, [(3, 4, 9, 8)], [1])]
    config = load_config("bccd_vgg16", ["images.short_side=200"])
    objects = network_objects(set_of(images, ("a", "b")), config)
    np.testing.assert_allclose(objects.boxes[0], [20, 40, 60, 80])
    np.testing.assert_allclose(objects.boxes[1], [2, 2.67, 6, 5.33], atol=0.01)
    np.testing.assert_array_equal(objects.image_sizes, [[200, 400], [200, 267]])
    np.testing.assert_array_equal(objects.labels, [0, 1])
    np.testing.assert_allclose(objects.sides, [40, 3.27], atol=0.01)


def test_difficult_objects_count_only_where_they_are_learned(set_of):
    examples = set_of([(100, 200, [(0, 0, 9, 9), (1, 2, 3, 4)], [0, 1])], ("a", "b"))
    (record,) = examples.records
    marked = record._replace(difficult=np.array([True, False]))
    examples = dataclasses.replace(examples, records=(marked,))
    config = load_config("bccd_vgg16")
    assert network_objects(examples, config).labels.tolist() == [1]
    np.testing.assert_array_equal(file_boxes(examples, config), [[1, 2, 3, 4]])
    learning = load_config("bccd_vgg16", ["data.train_on_difficult=true"])
    assert network_objects(examples, learning).labels.tolist() == [0, 1]


def test_a_set_without_objects_has_none_to_reach(set_of):
    config = load_config("bccd_vgg16")
    objects = network_objects(set_of([(100, 200, [], [])], ("a",)), config)
    assert objects.boxes.shape == (0, 4) and best_ious(objects, config).shape == (0,)


def test_an_anchor_that_fits_nowhere_reaches_nothing(set_of):
    config = load_config("bccd_vgg16", ["anchors.scales=[64]", "anchors.ratios=[1]"])
    examples = set_of([(480, 640, [(0, 0, 480, 640)], [0])], ("a",))
    assert best_ious(network_objects(examples, config), config).tolist() == [0.0]
    anywhere = config.replace(rpn=config.rpn.replace(allowed_border=None))
    (best,) = best_ious(network_objects(examples, anywhere), anywhere)
    assert best == pytest.approx(480 * 640 / 1024**2)


def test_an_anchor_that_ends_on_the_border_is_inside_unless_pixels_are_inclusive(
    set_of,
):
    # Anchors of 16 pixels, the lower row from 16 to 31; the image is 31 pixels high.
    images = ["images.short_side=31", "images.long_side=48"]
    anchors = ["anchors.ratios=[1]", "anchors.scales=[1]"]
    examples = set_of([(31, 48, [(16, 16, 31, 31)], [0])], ("a",))
    config = load_config("vgg16_voc07", [*images, *anchors])
    for conventions, best in (("caffe", 0.0), ("plain", 1.0)):
        own = config.replace(conventions=config.conventions.of(conventions))
        objects = network_objects(examples, own)
        assert best_ious(objects, own).tolist() == [best]
        np.testing.assert_array_equal(best_on_the_grid(own, objects), [best])


def test_a_map_that_is_rounded_down_lacks_the_last_part_of_a_cell(set_of):
    settings = ["images.short_side=40", "anchors.ratios=[1]", "anchors.scales=[1]"]
    examples = set_of([(40, 40, [(24, 24, 40, 40)], [0])], ("a",))
    config = load_config("bubbliiiing_vgg16_voc0712", settings)
    objects = network_objects(examples, config)
    # The last of the two anchors about corners of cells is centred at 16, not at 32.
    assert best_ious(objects, config).tolist() == [0.0]
    np.testing.assert_array_equal(best_on_the_grid(config, objects), [0.0])


@pytest.mark.slow
def test_anchors_on_the_padding_count_where_they_are_made(set_of):
    settings = ["images.short_side=40", "images.pad_to=128", "anchors.scales=[1]"]
    examples = set_of([(40, 40, [(0, 38, 2, 40)], [0])], ("a",))
    config = load_config("torchvision_resnet50_fpn", settings)
    # The best one, of 4 x 4 pixels, is centred on the image's right border.
    objects = network_objects(examples, config)
    assert best_ious(objects, config).tolist() == [0.25]
    np.testing.assert_array_equal(best_on_the_grid(config, objects), [0.25])
    plain = config.replace(conventions=config.conventions.of("plain"))
    assert best_ious(objects, plain) < 0.1
