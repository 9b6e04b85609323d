import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.models import RoIHead
from tf_frcnn.ops.box_coder import decode_boxes
from tf_frcnn.ops.iou_losses import ciou_losses
from tf_frcnn.structures import RoITargets

CONVENTIONS = {"base": "caffe", "max_log_scale": 0.5}
STDS = (0.5, 0.25, 1.0, 2.0)


@pytest.fixture
def head_of():
    def build(**roi):
        box_head = keras.layers.Flatten()
        loss = {"roi_boxes": "ciou", "roi_box_weight": 4.0}
        roi = {"class_agnostic": True, "delta_stds": STDS, **roi}
        return RoIHead(2, box_head, roi=roi, loss=loss, conventions=CONVENTIONS)

    return build


def rois_of(count):
    rng = np.random.default_rng(3)
    corners = rng.uniform(0, 40, [1, count, 2])
    boxes = np.concatenate([corners, corners + rng.uniform(9, 30, [1, count, 2])], -1)
    labels = np.arange(count)[np.newaxis] % 3
    return RoITargets(
        tf.constant(boxes, tf.float32),
        tf.constant(labels, tf.int32),
        tf.constant(rng.normal(size=[1, count, 4]), tf.float32),
        tf.zeros([1, count], tf.int32),
    )


def losses_by_hand(rois, deltas):
    coder = {"stds": STDS, "plus_one": True, "max_log_scale": 0.5}
    boxes, gt_boxes = (
        decode_boxes(values, rois.boxes, **coder) for values in (deltas, rois.deltas)
    )
    return 4.0 * ciou_losses(boxes, gt_boxes).numpy() * (rois.labels.numpy() > 0)


def test_the_boxes_of_iou_losses_are_decoded_as_those_of_detections(head_of):
    rois, logits = rois_of(9), tf.zeros([1, 9, 3])
    deltas = tf.random.stateless_normal([1, 9, 1, 4], [1, 2])
    losses = head_of().losses_of(logits, deltas, rois)
    expected = losses_by_hand(rois, deltas[:, :, 0]).mean()
    np.testing.assert_allclose(losses["roi_box_loss"], expected, rtol=1e-5)


def test_hard_examples_are_those_of_the_highest_iou_loss(head_of):
    rois, logits = rois_of(9), tf.zeros([1, 9, 3])
    deltas = tf.random.stateless_normal([1, 9, 1, 4], [1, 2])
    hardest = head_of(hard_examples=3)._hardest(logits, deltas, rois)
    order = np.argsort(-losses_by_hand(rois, deltas[:, :, 0]))
    np.testing.assert_array_equal(hardest.boxes[0], rois.boxes.numpy()[0, order[0, :3]])
