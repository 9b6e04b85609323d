import math

import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.ops.losses import (
    box_loss,
    classification_loss,
    classification_losses,
    smooth_l1,
)
from tf_frcnn.ops.rpn_scores import flatten_to_anchors


def loss_and_gradient(loss):
    """Returns a function of (pred, ...) that gives the loss and its gradient."""

    def compute(pred, *others, **settings):
        with tf.GradientTape() as tape:
            tape.watch(pred)
            value = loss(pred, *others, **settings)
        return value, tape.gradient(value, pred)

    return compute


# Quantities of the golden table.
CLASS_LOSSES, BOX_LOSSES = "class losses, relative", "box losses, relative"
CLASSIFICATION = loss_and_gradient(classification_loss)
BOX = loss_and_gradient(box_loss)


def deltas_of_labels(per_class, labels):
    """Picks the four columns of each row's class from [R, 4 * classes]."""
    per_class = tf.reshape(per_class, [1, len(labels), -1, 4])
    return tf.gather(per_class, labels[np.newaxis], batch_dims=2)


def test_smooth_l1_is_a_parabola_near_zero_and_a_line_beyond(in_mode):
    differences = np.float32([0, 0.5, -0.5, 1, -3])
    np.testing.assert_allclose(
        in_mode(smooth_l1)(differences), [0, 0.125, 0.125, 0.5, 2.5]
    )
    # Sigma 3: the line begins at 1/9, where the value is 1/18.
    differences = np.float32([0.1, 1 / 9, -1, 2])
    np.testing.assert_allclose(
        in_mode(smooth_l1)(differences, sigma=3.0),
        [0.045, 1 / 18, 1 - 1 / 18, 2 - 1 / 18],
        rtol=1e-6,
    )


@pytest.mark.parametrize(
    ("curve", "sigma"),
    [("curve_sigma1", 1.0), ("curve_sigma3", 3.0), ("curve_beta_1_9", 3.0)],
)
def test_smooth_l1_equals_the_references(golden, in_mode, curve, sigma):
    losses = golden("losses")
    found = in_mode(smooth_l1)(losses["curve_x"], sigma=sigma)
    losses.compare("smooth L1, relative", curve, found, rtol=1e-5)


def test_cross_entropy_is_averaged_over_labelled_rows(in_mode):
    logits = np.float32([[[0, math.log(3)], [0, 0], [50, -50]]])
    labels = np.int32([[0, 1, -1]])
    np.testing.assert_allclose(
        in_mode(classification_loss)(logits, labels),
        (math.log(4) + math.log(2)) / 2,
        rtol=1e-6,
    )


def test_a_single_logit_is_a_sigmoid(in_mode):
    logits = np.float32([[[math.log(3)], [math.log(3)], [0], [-90]]])
    labels = np.int32([[1, 0, 0, -1]])
    np.testing.assert_allclose(
        in_mode(classification_loss)(logits, labels),
        (math.log(4 / 3) + math.log(4) + math.log(2)) / 3,
        rtol=1e-6,
    )


def test_box_loss_sums_object_rows_and_divides_by_labelled_rows(in_mode):
    pred = np.float32([[[1, 0, 0, 0], [0.5, 0, 0, -2], [9, 9, 9, 9], [9, 9, 9, 9]]])
    labels = np.int32([[1, 7, 0, -1]])
    # (0.5 + (0.125 + 1.5)) / 3 rows
    np.testing.assert_allclose(
        in_mode(box_loss)(pred, np.zeros_like(pred), labels), 2.125 / 3, rtol=1e-6
    )


def test_each_image_has_its_divisor_and_all_count_alike(in_mode):
    pred = np.float32([[[1, 0, 0, 0], [0, 0, 0, 0]], [[3, 0, 0, 0], [0, 0, 0, 0]]])
    labels = np.int32([[1, 0], [1, -1]])
    np.testing.assert_allclose(
        in_mode(box_loss)(pred, np.zeros_like(pred), labels),
        (0.5 / 2 + 2.5) / 2,
        rtol=1e-6,
    )
    logits = np.zeros([2, 2, 2], np.float32)
    logits[1, 0] = [0, math.log(3)]
    np.testing.assert_allclose(
        in_mode(classification_loss)(logits, labels),
        (math.log(2) + math.log(4 / 3)) / 2,
        rtol=1e-6,
    )


def test_unlabelled_rows_change_neither_the_losses_nor_the_gradients(in_mode):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(2, 6, 3)).astype(np.float32)
    pred = rng.normal(size=(2, 6, 4)).astype(np.float32)
    target = rng.normal(size=(2, 6, 4)).astype(np.float32)
    labels = np.int32([[0, 1, 2, -1, -1, 0], [-1, 2, 0, 0, 1, -1]])
    unused = (labels < 0)[..., np.newaxis]
    value, gradient = in_mode(CLASSIFICATION)(logits, labels)
    other_value, other = in_mode(CLASSIFICATION)(
        np.where(unused, np.float32(1e4), logits), labels
    )
    assert value == other_value
    np.testing.assert_array_equal(gradient, other)
    assert np.all((gradient == 0) == unused)
    value, gradient = in_mode(BOX)(pred, target, labels)
    other_value, other = in_mode(BOX)(
        np.where(unused, np.float32(1e4), pred), target, labels
    )
    assert value == other_value
    np.testing.assert_array_equal(gradient, other)
    assert np.all((gradient == 0) == (labels <= 0)[..., np.newaxis])


@pytest.mark.parametrize("num_values", [1, 2])
def test_losses_without_any_labelled_row_are_zero_with_zero_gradients(
    in_mode, num_values
):
    labels = np.full([2, 3], -1, np.int32)
    logits = np.ones([2, 3, num_values], np.float32)
    deltas = np.ones([2, 3, 4], np.float32)
    for value, gradient in [
        in_mode(CLASSIFICATION)(logits, labels),
        in_mode(BOX)(deltas, 0 * deltas, labels),
    ]:
        assert value == 0
        np.testing.assert_array_equal(gradient, np.zeros_like(gradient))


def test_box_loss_of_an_image_without_objects_is_zero(in_mode):
    deltas, labels = np.ones([1, 3, 4], np.float32), np.int32([[0, 0, -1]])
    assert in_mode(box_loss)(deltas, 0 * deltas, labels) == 0


@pytest.mark.parametrize("key", ["tfr_rpn_cross_entropy", "chn_rpn_cls_loss"])
def test_rpn_class_loss_equals_the_references(golden, in_mode, key):
    losses = golden("losses")
    value = in_mode(classification_loss)(
        losses["flat_logits2"][np.newaxis], losses["flat_labels"][np.newaxis]
    )
    losses.compare(CLASS_LOSSES, key, value, rtol=1e-5)


@pytest.mark.parametrize("key", ["tv_loss_objectness", "bce_prob_loss"])
def test_rpn_class_loss_of_sigmoids_equals_torchvision(golden, in_mode, key):
    losses = golden("losses")
    value = in_mode(classification_loss)(
        losses["tv_objectness"][np.newaxis], losses["flat_labels"][np.newaxis]
    )
    losses.compare(CLASS_LOSSES, key, value, rtol=1e-5)


@pytest.mark.parametrize(
    "key", ["tfr_cross_entropy", "chn_roi_cls_loss", "tv_loss_classifier"]
)
def test_roi_class_loss_equals_the_references(golden, in_mode, key):
    losses = golden("losses")
    value = in_mode(classification_loss)(
        losses["cls_score"][np.newaxis], losses["labels"][np.newaxis]
    )
    losses.compare(CLASS_LOSSES, key, value, rtol=1e-5)


@pytest.mark.parametrize(
    ("key", "sigma"),
    [
        ("tfr_rpn_loss_box_sigma3", 3.0),
        ("tfr_rpn_loss_box_sigma1", 1.0),
        ("chn_rpn_loc_loss_sigma3", 3.0),
        ("chn_rpn_loc_loss_sigma1", 1.0),
        ("tv_loss_rpn_box_reg", 3.0),
    ],
)
def test_rpn_box_loss_equals_the_references(golden, in_mode, key, sigma):
    losses = golden("losses")
    pred, target = (
        losses[name].reshape(1, -1, 4) for name in ("rpn_bbox_pred", "rpn_bbox_targets")
    )
    labels = losses["flat_labels"][np.newaxis]
    value = in_mode(box_loss)(pred, target, labels, sigma=sigma)
    losses.compare(BOX_LOSSES, key, value, rtol=1e-5)


@pytest.mark.parametrize(
    ("key", "sigma"),
    [
        ("tfr_loss_box_sigma1", 1.0),
        ("tfr_loss_box_sigma3", 3.0),
        ("chn_roi_loc_loss_sigma1", 1.0),
        ("tv_loss_box_reg", 3.0),
    ],
)
def test_roi_box_loss_equals_the_references(golden, in_mode, key, sigma):
    losses = golden("losses")
    labels = losses["labels"]
    pred, target = (
        deltas_of_labels(losses[name], labels) for name in ("bbox_pred", "bbox_targets")
    )
    value = in_mode(box_loss)(pred, target, labels[np.newaxis], sigma=sigma)
    losses.compare(BOX_LOSSES, key, value, rtol=1e-5)


def test_the_sum_of_the_losses_and_its_gradients_equal_tf_faster_rcnn(golden, in_mode):
    losses = golden("losses")
    names = ("rpn_cls_score", "rpn_bbox_pred", "cls_score", "bbox_pred")
    rpn_labels, labels = losses["flat_labels"][np.newaxis], losses["labels"]
    num_anchors = int(losses["A"])
    rpn_targets = losses["rpn_bbox_targets"].reshape(1, -1, 4)

    def total_and_gradients(*pred):
        rpn_scores, rpn_deltas, scores, deltas = pred
        with tf.GradientTape() as tape:
            tape.watch(pred)
            logits = flatten_to_anchors(rpn_scores, num_anchors, values_first=True)
            flat = flatten_to_anchors(rpn_deltas, num_anchors, values_first=False)
            total = (
                classification_loss(logits, rpn_labels)
                + box_loss(flat, rpn_targets, rpn_labels, sigma=3.0)
                + classification_loss(scores[tf.newaxis], labels[np.newaxis])
                + box_loss(
                    deltas_of_labels(deltas, labels),
                    deltas_of_labels(losses["bbox_targets"], labels),
                    labels[np.newaxis],
                )
            )
        return total, tape.gradient(total, pred)

    total, gradients = in_mode(total_and_gradients)(*(losses[name] for name in names))
    losses.compare("sum, relative", "tfr_total", total, rtol=1e-5)
    for name, gradient in zip(names, gradients, strict=True):
        losses.compare("gradients", f"tfr_grad_{name}", gradient, atol=1e-6)


def test_without_sigma_the_curve_is_the_absolute_value(in_mode):
    differences = np.float32([0, 0.001, -0.5, 3])
    values = in_mode(smooth_l1)(differences, sigma=None)
    np.testing.assert_array_equal(values, np.abs(differences))


def test_smoothed_labels_by_hand(in_mode):
    # Probabilities 1/6, 2/6, 3/6; of the targets 0.3 is spread, 0.1 to each.
    logits = np.float32([[np.log([1, 2, 3]), np.log([1, 2, 3]), [50, -50, 0]]])
    labels = np.int32([[2, 0, -1]])
    logs = np.log([1 / 6, 2 / 6, 3 / 6])
    expected = [-np.dot([0.1, 0.1, 0.8], logs), -np.dot([0.8, 0.1, 0.1], logs), 0]
    losses = in_mode(classification_losses)(logits, labels, label_smoothing=0.3)
    np.testing.assert_allclose(losses, [expected], rtol=1e-6)


def test_the_gradient_of_smoothed_labels_is_what_misses_the_targets(in_mode):
    logits = np.random.default_rng(5).normal(size=(1, 3, 4)).astype(np.float32)
    labels = np.int32([[3, 0, -1]])
    _, gradient = in_mode(CLASSIFICATION)(logits, labels, label_smoothing=0.2)
    scores = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    targets = np.full([1, 3, 4], 0.05)
    targets[0, 0, 3] = targets[0, 1, 0] = 0.85
    expected = (scores - targets) / 2 * (labels >= 0)[..., np.newaxis]
    np.testing.assert_allclose(gradient, expected, atol=1e-6)


def test_without_smoothing_the_cross_entropy_is_tensorflows_bit_for_bit(in_mode):
    logits = np.random.default_rng(6).normal(size=(2, 40, 21)).astype(np.float32)
    labels = np.arange(80, dtype=np.int32).reshape(2, 40) % 21
    expected = in_mode(tf.nn.sparse_softmax_cross_entropy_with_logits)(labels, logits)
    found = in_mode(classification_losses)(logits, labels, label_smoothing=0.0)
    np.testing.assert_array_equal(found, expected)


def test_focal_loss_by_hand(in_mode):
    # Probabilities of the labels: object 3/4, background 1/4, object 1/5 of 5.
    logits = np.float32([[[0, math.log(3)], [0, math.log(3)], [50, -50]]])
    labels = np.int32([[1, 0, -1]])
    expected = [
        0.25 * (1 / 4) ** 2 * -math.log(3 / 4),
        0.75 * (3 / 4) ** 2 * -math.log(1 / 4),
        0,
    ]
    losses = in_mode(classification_losses)(logits, labels, focal=(0.25, 2.0))
    np.testing.assert_allclose(losses, [expected], rtol=1e-5)
    mean = in_mode(classification_loss)(logits, labels, focal=(0.25, 2.0))
    np.testing.assert_allclose(mean, sum(expected) / 2, rtol=1e-5)


def test_focal_loss_of_one_logit_is_that_of_two(in_mode):
    one = np.float32([[[0.3], [-2.0], [4.0], [1.0]]])
    two = np.concatenate([np.zeros_like(one), one], axis=-1)
    labels = np.int32([[1, 0, 0, -1]])
    single, pair = (
        in_mode(CLASSIFICATION)(logits, labels, focal=(0.3, 1.5))
        for logits in (one, two)
    )
    np.testing.assert_allclose(single[0], pair[0], rtol=1e-5)
    np.testing.assert_allclose(single[1], pair[1][..., 1:], rtol=1e-4, atol=1e-7)


def test_focal_loss_of_many_classes_weighs_every_object_by_alpha(in_mode):
    logits = np.zeros([1, 3, 5], np.float32)
    losses = in_mode(classification_losses)(
        logits, np.int32([[0, 2, 4]]), focal=(0.25, 2.0)
    )
    one = 0.8**2 * math.log(5)
    np.testing.assert_allclose(
        losses, [[0.75 * one, 0.25 * one, 0.25 * one]], rtol=1e-5
    )


def test_focal_loss_without_focus_is_half_the_cross_entropy(in_mode):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=[2, 9, 4]).astype(np.float32)
    labels = rng.integers(-1, 4, [2, 9]).astype(np.int32)
    focal, plain = (
        in_mode(classification_losses)(logits, labels, focal=settings)
        for settings in ((0.5, 0.0), None)
    )
    np.testing.assert_allclose(focal, plain / 2, rtol=1e-5)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_the_focal_gradient_of_a_certain_answer_is_finite(in_mode, gamma):
    logits = np.float32([[[0, 200], [200, 0], [0, 200]]])
    labels = np.int32([[1, 0, 0]])
    loss, gradient = in_mode(CLASSIFICATION)(logits, labels, focal=(0.25, gamma))
    assert np.isfinite(loss) and np.isfinite(gradient).all()
    # The wrong answer: 0.75 * 200, of three rows; its gradient is 0.75 / 3.
    np.testing.assert_allclose(loss, 50, rtol=1e-5)
    np.testing.assert_allclose(gradient[0, 2], [-0.25, 0.25], rtol=1e-4)
    np.testing.assert_allclose(gradient[0, :2], np.zeros([2, 2]), atol=1e-5)


def test_a_box_loss_may_be_divided_by_the_objects_alone(in_mode):
    deltas, labels = np.ones([1, 4, 4], np.float32), np.int32([[1, 0, 0, -1]])
    loss = in_mode(box_loss)
    assert loss(deltas, 0 * deltas, labels, sigma=None) == np.float32(4 / 3)
    assert loss(deltas, 0 * deltas, labels, sigma=None, divisor="objects") == 4


@pytest.mark.parametrize(
    ("key", "sigma", "divisor", "factor"),
    [
        ("bub_rpn_loc_loss_sigma1", 1.0, "objects", 1.0),
        ("l1_loss_rpn_box_reg", None, "sampled", 1.0),
        # The mean over the four coordinates instead of their sum.
        ("l1_loss_rpn_box_reg_mean", None, "objects", 0.25),
    ],
)
def test_other_rpn_box_losses_equal_the_references(
    golden, in_mode, key, sigma, divisor, factor
):
    losses = golden("losses")
    pred, target = (
        losses[name].reshape(1, -1, 4) for name in ("rpn_bbox_pred", "rpn_bbox_targets")
    )
    labels = losses["flat_labels"][np.newaxis]
    value = in_mode(box_loss)(pred, target, labels, sigma=sigma, divisor=divisor)
    losses.compare(BOX_LOSSES, key, factor * value, rtol=1e-5)


@pytest.mark.parametrize(
    ("key", "sigma", "divisor"),
    [
        ("bub_roi_loc_loss_sigma1", 1.0, "objects"),
        ("l1_loss_box_reg", None, "sampled"),
    ],
)
def test_other_roi_box_losses_equal_the_references(
    golden, in_mode, key, sigma, divisor
):
    losses = golden("losses")
    labels = losses["labels"]
    pred, target = (
        deltas_of_labels(losses[name], labels) for name in ("bbox_pred", "bbox_targets")
    )
    value = in_mode(box_loss)(
        pred, target, labels[np.newaxis], sigma=sigma, divisor=divisor
    )
    losses.compare(BOX_LOSSES, key, value, rtol=1e-5)
