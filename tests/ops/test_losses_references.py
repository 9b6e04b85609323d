import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.golden import golden_cases
from tf_frcnn.ops.losses import box_loss, smooth_l1


def both_losses(pred, targets, inside, outside, labels, **settings):
    """Returns tf-faster-rcnn's weighted sum, our loss, and their gradients."""
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(pred)
        curve = smooth_l1(inside * (pred - targets), sigma=settings.get("sigma", 1.0))
        weighted = tf.reduce_sum(outside * curve)
        ours = box_loss(pred, targets, labels, **settings)
    return (
        (weighted, tape.gradient(weighted, pred)),
        (ours, tape.gradient(ours, pred)),
    )


def roi_losses(pred, targets, inside, outside, labels):
    """Returns tf-faster-rcnn's loss over the columns of all classes, and ours."""
    curve = outside * smooth_l1(inside * (pred - targets))
    own, own_targets = (
        tf.gather(columns, labels, batch_dims=1)[tf.newaxis]
        for columns in (pred, targets)
    )
    ours = box_loss(own, own_targets, labels[tf.newaxis])
    return tf.reduce_mean(tf.reduce_sum(curve, [1, 2])), ours


def assert_same_loss(expected, found, factor=1.0):
    np.testing.assert_allclose(factor * found[0], expected[0], rtol=1e-5)
    np.testing.assert_allclose(factor * found[1], expected[1], rtol=0, atol=1e-6)
    assert np.any(expected[1]) == (expected[0] > 0)


@pytest.mark.parametrize("case", golden_cases("anchor_target_tf_faster_rcnn"))
def test_labels_do_what_the_weights_of_tf_faster_rcnn_do(golden, in_mode, case):
    stored = golden("anchor_target_tf_faster_rcnn")
    height, width = (int(stored[f"{case}_{key}"]) for key in ("height", "width"))
    labels = stored[f"{case}_labels"].reshape(1, -1, height, width)
    labels = labels.transpose(0, 2, 3, 1).reshape(1, -1).astype(np.int32)
    targets, inside, outside = (
        stored[f"{case}_{name}"].astype(np.float32).reshape(1, -1, 4)
        for name in ("bbox_targets", "inside_weights", "outside_weights")
    )
    noise = np.random.default_rng(0).normal(0, 0.3, targets.shape)
    pred = targets + noise.astype(np.float32)
    # A weight for all positives together divides by their number alone.
    share = float(stored[f"{case}_positive_weight"])
    divisor, factor = ("objects", share) if share > 0 else ("sampled", 1.0)
    weighted, ours = in_mode(both_losses)(
        pred, targets, inside, outside, labels, sigma=3.0, divisor=divisor
    )
    assert_same_loss(weighted, ours, factor)


def test_labels_and_weights_of_the_stored_losses_agree(golden, in_mode):
    losses = golden("losses")
    num_anchors, height, width = (int(losses[key]) for key in ("A", "h", "w"))
    labels = losses["rpn_labels"].reshape(1, num_anchors, height, width)
    labels = labels.transpose(0, 2, 3, 1).reshape(1, -1)
    np.testing.assert_array_equal(labels[0], losses["flat_labels"])
    names = ("bbox_pred", "bbox_targets", "inside", "outside")
    rows = [losses[f"rpn_{name}"].reshape(1, -1, 4) for name in names]
    assert_same_loss(*in_mode(both_losses)(*rows, labels, sigma=3.0))


@pytest.mark.parametrize("case", golden_cases("proposal_target_tf_faster_rcnn"))
def test_the_columns_of_a_rois_class_are_those_with_weights(golden, in_mode, case):
    stored = golden("proposal_target_tf_faster_rcnn")
    num_rois = len(stored[f"{case}_labels"])
    targets, inside, outside = (
        stored[f"{case}_{name}"].astype(np.float32).reshape(num_rois, -1, 4)
        for name in ("bbox_targets", "inside_weights", "outside_weights")
    )
    assert targets.shape[1] == stored[f"{case}_num_classes"]
    labels = stored[f"{case}_labels"][:, 0].astype(np.int32)
    noise = np.random.default_rng(0).normal(0, 0.5, targets.shape)
    pred = targets + noise.astype(np.float32)

    weighted, ours = in_mode(roi_losses)(pred, targets, inside, outside, labels)
    assert weighted > 0
    np.testing.assert_allclose(ours, weighted, rtol=1e-5)


def test_a_sampled_anchor_weighs_what_tf_faster_rcnn_gives_it(golden, in_mode):
    stored = golden("anchor_target_tf_faster_rcnn")
    counts = stored["sampled_counts_after"]
    labels = np.repeat(np.int32([1, 0, -1]), counts)[np.newaxis]
    # Far from the target the curve's slope is 1.
    pred = np.full([*labels.shape, 4], 5, np.float32)
    ones = np.ones_like(pred)
    _, (_, slope) = in_mode(both_losses)(pred, 0 * pred, ones, ones, labels)
    np.testing.assert_allclose(
        slope[0, : counts[0]], np.tile(stored["sampled_outside_value"], (counts[0], 4))
    )
    assert not slope[0, counts[0] :].any()
