import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.ops.roi_levels import assign_levels, pool_and_select, pool_in_groups

YX = [1, 0, 3, 2]  # x1, y1, x2, y2 <-> ymin, xmin, ymax, xmax
STRIDES = (4, 8, 16)


def mark(features, boxes, *, stride):
    """Stands for a pooling: the map's first cell, plus ymin / stride."""
    first = features[:, tf.newaxis, :1, :1]
    return first + boxes[:, :, 0, tf.newaxis, tf.newaxis, tf.newaxis] / stride


def in_groups(boxes, levels, *features):
    return pool_in_groups(mark, features, boxes, levels, strides=STRIDES)


def and_select(boxes, levels, *features):
    return pool_and_select(mark, features, boxes, levels, strides=STRIDES)


ROUTES = {
    "in groups, eager": ("eager", in_groups),
    "in groups, graph": ("graph", in_groups),
    "select, eager": ("eager", and_select),
    "select, graph": ("graph", and_select),
    "select, xla": ("xla", and_select),
}


@pytest.mark.parametrize(
    ("height", "width", "level"),
    [
        (112, 112, 1),
        (111.99, 112, 0),
        (224, 224, 2),
        (223.99, 224, 1),
        (448, 112, 2),
        (448, 448, 3),
        (5000, 5000, 3),
        (1, 1, 0),
        (0, 300, 0),
        (0, 0, 0),
    ],
)
def test_the_level_rises_with_each_doubling_of_the_size(in_mode, height, width, level):
    box = np.float32([10, 20, 10 + height, 20 + width])
    assert in_mode(assign_levels)(box) == level


def test_a_millionth_of_a_level_below_the_size_still_counts(in_mode):
    sides = np.float32(224 * 2.0 ** np.array([-2e-6, -0.7e-6, 0.0]))
    boxes = np.stack([0 * sides, 0 * sides, sides, sides], axis=-1)
    np.testing.assert_array_equal(in_mode(assign_levels)(boxes), [1, 2, 2])


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("level_2_5", {}),
        ("level_3_5", {"levels": (3, 5)}),
        ("level_2_6", {"levels": (2, 6)}),
        ("level_2_5_canon112_k3", {"canonical_size": 112.0, "canonical_level": 3}),
    ],
)
def test_levels_equal_torchvision(golden, in_mode, name, settings):
    stored = golden("roi_levels")
    levels = in_mode(assign_levels)(stored["rois"][:, YX], **settings)
    assert levels.dtype == np.int32
    first = settings.get("levels", (2, 5))[0]
    stored.compare("levels", name, levels + first)


@pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)
@pytest.mark.parametrize(
    "levels",
    [
        [[2, 0, 1, 0], [0, 2, 2, 1]],
        [[2, 2, 2, 2], [0, 0, 0, 0]],
        [[1, 1, 1, 1], [1, 1, 1, 1]],
    ],
)
def test_each_roi_is_pooled_from_its_own_map_and_keeps_its_row(run_in, route, levels):
    # The map of level k holds 1000 k in image 0 and 1000 k + 500 in image 1.
    images = np.float32([0, 500]).reshape(2, 1, 1, 1)
    features = [np.full([2, 3, 3, 1], 1000 * k, np.float32) + images for k in range(3)]
    boxes = np.zeros([2, 4, 4], np.float32)
    boxes[..., 0] = 16 * np.arange(8).reshape(2, 4)
    levels = np.int32(levels)
    pooled = run_in(*route)(boxes, levels, *features)
    expected = 1000 * levels + [[0], [500]] + boxes[..., 0] / np.take(STRIDES, levels)
    np.testing.assert_allclose(pooled[..., 0, 0, 0], expected)


@pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES)
def test_the_gradient_goes_to_the_own_map_alone(run_in, route):
    mode, pool = route

    def gradients(boxes, levels, *features):
        with tf.GradientTape() as tape:
            tape.watch(features)
            pooled = pool(boxes, levels, *features)
        return tape.gradient(pooled, features)

    features = [np.zeros([2, 1, 1, 1], np.float32)] * 3
    boxes, levels = np.zeros([2, 4, 4], np.float32), [[2, 0, 0, 0], [1, 2, 2, 1]]
    results = run_in(mode, gradients)(boxes, np.int32(levels), *features)
    np.testing.assert_array_equal(np.ravel(results), [3, 0, 0, 2, 1, 2])
