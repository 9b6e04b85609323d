import functools

import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.config import LossSettings
from tf_frcnn.models import stage_losses
from tf_frcnn.models.stage_losses import StageLosses
from tf_frcnn.ops.box_coder import decode_boxes


def test_the_forms_of_the_losses_arrive_in_them():
    logits = tf.constant([[[0.0, np.log(3)], [0.0, 0.0]]])
    labels = tf.constant([[1, 0]])
    deltas, targets = tf.constant([[[2.0, 0, 0, 0], [9, 9, 9, 9]]]), tf.zeros([1, 2, 4])
    plain = StageLosses(LossSettings(), "roi")
    np.testing.assert_allclose(
        plain.of_classes(logits, labels), (np.log(4 / 3) + np.log(2)) / 2, rtol=1e-6
    )
    assert plain.of_boxes(deltas, targets, labels) == 0.75
    settings = {"rpn_classes": "focal", "focal_gamma": 1.0, "rpn_divisor": "objects"}
    other = StageLosses(LossSettings(rpn_sigma=None, **settings), "rpn")
    focal = (0.25 * 0.25 * np.log(4 / 3) + 0.75 * 0.5 * np.log(2)) / 2
    np.testing.assert_allclose(other.of_classes(logits, labels), focal, rtol=1e-6)
    assert other.of_boxes(deltas, targets, labels) == 2.0


def test_labels_are_smoothed_in_the_roi_head_alone():
    logits, labels = tf.constant([[[0.0, np.log(3)]]]), tf.constant([[1]])
    loss = LossSettings(label_smoothing=0.2)
    logs = np.log([1 / 4, 3 / 4])
    np.testing.assert_allclose(
        StageLosses(loss, "roi").of_classes(logits, labels),
        -0.1 * logs[0] - 0.9 * logs[1],
        rtol=1e-6,
    )
    np.testing.assert_allclose(
        StageLosses(loss, "rpn").of_classes(logits, labels), -logs[1], rtol=1e-6
    )


def test_the_losses_of_a_row_are_those_that_are_averaged():
    logits, labels = tf.constant([[[0.0, 2.0], [1.0, 0.0]]]), tf.constant([[1, 0]])
    deltas, targets = tf.ones([1, 2, 4]), tf.zeros([1, 2, 4])
    losses = StageLosses(LossSettings(), "rpn")
    rows = losses.of_rows(logits, deltas, targets, labels)
    total = losses.of_classes(logits, labels) + losses.of_boxes(deltas, targets, labels)
    np.testing.assert_allclose(tf.reduce_mean(rows), total, rtol=1e-6)
    classes = losses.of_rows(logits, None, targets, labels)
    np.testing.assert_allclose(
        tf.reduce_mean(classes), losses.of_classes(logits, labels), rtol=1e-6
    )


def test_an_unknown_form_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match=r"loss.roi_classes = 'hinge' .* focal"):
        StageLosses(LossSettings(roi_classes="hinge"), "roi")


def test_a_form_of_ones_own_is_one_line_in_the_registry(monkeypatch):
    def ones(logits, labels):
        return tf.cast(labels >= 0, tf.float32)

    monkeypatch.setitem(stage_losses.CLASS_LOSSES, "ones", lambda loss: ones)
    losses = StageLosses(LossSettings(rpn_classes="ones"), "rpn")
    assert losses.of_classes(tf.zeros([1, 3, 2]), tf.constant([[1, -1, 0]])) == 1.0


# Target: the RoI itself. Predictions: a shift by half a height, nothing, infinities.
ROIS = tf.constant([[[0.0, 0, 10, 20], [0, 0, 10, 20], [0, 0, 0, 0], [0, 0, 9, 9]]])
DELTAS = tf.constant([[[5.0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 900, 900], [1e30] * 4]])
LABELS = tf.constant([[1, 2, 0, -1]])
DECODE = functools.partial(decode_boxes, sources=ROIS, stds=(0.1, 0.1, 0.2, 0.2))
# IoU 1/3; enclosing box 15 x 20, all but all of it covered; centres 5 apart.
OF_SHIFTED = {
    "giou": 1 - 1 / 3,
    "diou": 1 - 1 / 3 + 25 / (15**2 + 20**2),
    "ciou": 1 - 1 / 3 + 25 / (15**2 + 20**2),
}


@pytest.mark.parametrize("form", OF_SHIFTED)
def test_iou_losses_compare_decoded_boxes_of_objects_alone(in_mode, form):
    losses = StageLosses(LossSettings(roi_boxes=form, roi_box_weight=6.0), "roi")

    def compute(deltas):
        with tf.GradientTape() as tape:
            tape.watch(deltas)
            value = losses.of_boxes(deltas, tf.zeros_like(deltas), LABELS, None, DECODE)
        return value, tape.gradient(value, deltas)

    value, gradient = in_mode(compute)(DELTAS)
    # Three rows count.
    np.testing.assert_allclose(value, 6.0 * OF_SHIFTED[form] / 3, rtol=1e-6)
    assert gradient[0, 0, 0] > 0
    np.testing.assert_array_equal(gradient[0, 2:], np.zeros([2, 4]))
    logits = tf.zeros([1, 4, 3])
    rows = losses.of_rows(logits, DELTAS, tf.zeros_like(DELTAS), LABELS, DECODE)
    expected = 6.0 * OF_SHIFTED[form] + np.log(3)
    np.testing.assert_allclose(rows, [[expected, np.log(3), np.log(3), 0]], rtol=1e-5)


def test_the_weight_and_the_form_of_the_boxes_are_not_the_rpns():
    deltas, targets = tf.ones([1, 1, 4]), tf.zeros([1, 1, 4])
    loss = LossSettings(roi_boxes="giou", roi_box_weight=3.0, rpn_sigma=1.0)
    rpn = StageLosses(loss, "rpn")
    assert rpn.of_boxes(deltas, targets, tf.constant([[1]])) == 2.0
    heavy = StageLosses(LossSettings(roi_box_weight=3.0), "roi")
    assert heavy.of_boxes(deltas, targets, tf.constant([[1]])) == 6.0


def test_an_unknown_form_of_the_boxes_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match=r"loss.roi_boxes = 'eiou' .* ciou"):
        StageLosses(LossSettings(roi_boxes="eiou"), "roi")
