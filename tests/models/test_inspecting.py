import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.models.inspecting import inspections_of, inspector, limits_of


@pytest.fixture(scope="module", params=["plain", "caffe"])
def model(tiny_detector, request):
    return tiny_detector(
        conventions=request.param,
        proposals={"min_size": 2.0, "test_pre_nms": 100, "test_post_nms": 12},
        detections={"score_threshold": 0.1, "max_per_image": 6},
    )


@pytest.fixture(scope="module")
def inspected(model):
    """Two images on one canvas, the second smaller and at another scale."""
    images = np.random.default_rng(0).uniform(0, 255, [2, 64, 96, 3])
    batch = {
        "images": tf.constant(images, tf.float32),
        "image_sizes": tf.constant([[64.0, 96.0], [48.0, 64.0]]),
        "scales": tf.constant([[1.0, 1.0], [0.5, 0.5]]),
    }
    own = model.roi_head.detections
    inspect = inspector(model, [own, own.replace(nms_iou=0.9)])
    boxes = tf.nest.map_structure(np.asarray, inspect(batch))
    return model(batch), boxes, inspections_of(boxes)


def contained(boxes, others):
    """Returns whether each box is one of the others."""
    difference = np.abs(boxes[:, np.newaxis] - others).max(axis=-1)
    return difference.min(axis=1, initial=np.inf) < 1e-3


def test_the_detections_are_the_models(inspected):
    found, boxes, images = inspected
    for name, values in boxes.detections._asdict().items():
        np.testing.assert_array_equal(values, found[name])
    for row, image in enumerate(images):
        count = found["valid"][row].numpy().sum()
        assert len(image.detected_boxes) == len(image.detected_labels) == count > 0


def test_other_settings_are_tried(inspected):
    _, boxes, _ = inspected
    same, loose = boxes.trials
    for own, tried in zip(boxes.detections, same, strict=True):
        np.testing.assert_array_equal(own, tried)
    assert np.abs(loose.boxes - same.boxes).max() > 1


def test_each_box_comes_from_one_of_the_stage_before(inspected):
    for image in inspected[2]:
        assert image.anchors.shape == image.rpn_boxes.shape
        entered = image.rpn_boxes[image.entered]
        assert image.large[image.entered].all() and 12 < len(entered) <= 100
        assert len(image.proposals) <= 12 and contained(image.proposals, entered).all()
        for label in (0, 1):
            own = image.detected_boxes[image.detected_labels == label]
            assert contained(own, image.boxes[:, label]).all()
        np.testing.assert_allclose(image.scores.sum(axis=1), 1, rtol=1e-5)


def test_boxes_of_another_scale_are_in_pixels_of_the_file(inspected):
    small = inspected[2][1]
    # 48 x 64 network pixels, 3 x 4 cells of 9 anchors, are 96 x 128 of the file.
    assert len(small.anchors) == 3 * 4 * 9
    assert small.rpn_boxes[:, 2].max() <= 96 and small.rpn_boxes[:, 3].max() <= 128
    assert small.rpn_boxes[:, 3].max() > 64


def test_padding_has_no_anchors(inspected):
    first, second = inspected[2]
    assert len(second.anchors) < len(first.anchors)


@pytest.mark.parametrize("per_level", [True, False])
def test_the_best_of_each_level_or_of_all_enter(tiny_detector, per_level):
    counts = {"per_level": per_level, "test_pre_nms": 7, "test_post_nms": 5}
    model = tiny_detector(proposals=counts)
    image = tf.zeros([1, 64, 64, 3])
    boxes = tf.nest.map_structure(np.asarray, inspector(model)({"images": image}))
    assert boxes.candidates.entered.sum() == 7


def test_the_limits_are_those_of_the_settings(model, tiny_detector):
    limits = limits_of(model)
    assert (limits.score, limits.nms, limits.iou) == (0.1, 0.3, 0.5)
    assert limits.proposal_nms == 0.7 and not limits.class_agnostic
    assert limits_of(tiny_detector(proposals={"test_nms": False})).proposal_nms is None


def test_a_box_of_a_low_score_is_large_all_the_same(tiny_detector):
    model = tiny_detector(proposals={"min_score": 0.99})
    boxes = inspector(model)({"images": tf.zeros([1, 64, 64, 3])})
    assert np.any(boxes.candidates.large) and not np.any(boxes.candidates.entered)
