import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.ops import anchor_labels
from tf_frcnn.ops.anchor_labels import label_and_match
from tf_frcnn.ops.boxes import pairwise_iou
from tf_frcnn.ops.matching import best_matches, inside_crowd, label_anchors

NUM_BOXES = 3 * anchor_labels._BOXES_AT_ONCE - 5
RULE = {"positive_iou": 0.6, "negative_iou": 0.3}


def crowded(num_boxes=NUM_BOXES):
    """Returns anchors on a grid and boxes on it, so that many IoUs are equal."""
    rng = np.random.default_rng(0)
    corners = rng.integers(0, 6, [2, num_boxes, 2]) * 8
    sides = rng.integers(1, 4, [2, num_boxes, 2]) * 8
    boxes = np.concatenate([corners, corners + sides], axis=-1)
    grid = np.stack(np.meshgrid(np.arange(8), np.arange(8)), axis=-1).reshape(-1, 2)
    anchors = np.concatenate([grid * 8, grid * 8 + [12, 16]], axis=-1)
    kinds = rng.integers(0, 6, [2, num_boxes])
    return {
        "anchors": anchors.astype(np.float32),
        "anchor_valid": rng.integers(0, 9, [2, len(anchors)]) > 0,
        "gt_boxes": boxes.astype(np.float32),
        "gt_valid": kinds > 1,
        "crowd": (kinds == 1) & (rng.integers(0, 8, kinds.shape) == 0),
    }


def all_pairs_at_once(anchors, anchor_valid, gt_boxes, gt_valid, crowd, **rule):
    iou = pairwise_iou(anchors, gt_boxes)
    labels = label_anchors(iou, anchor_valid, gt_valid, **rule)
    ignored = inside_crowd(anchors, gt_boxes, crowd)
    labels = tf.where((labels == 0) & ignored, -1, labels)
    return labels, best_matches(iou, gt_valid)


@pytest.mark.parametrize("best_is_positive", [True, False])
def test_boxes_by_and_by_give_what_all_pairs_at_once_give(in_mode, best_is_positive):
    inputs, rule = crowded().values(), {**RULE, "best_is_positive": best_is_positive}
    labels, matches = in_mode(label_and_match)(*inputs, **rule)
    expected, expected_matches = in_mode(all_pairs_at_once)(*inputs, **rule)
    assert {*np.unique(expected)} == {-1, 0, 1}
    assert expected_matches.index.max() > 2 * anchor_labels._BOXES_AT_ONCE
    np.testing.assert_array_equal(labels, expected)
    np.testing.assert_array_equal(matches.index, expected_matches.index)
    np.testing.assert_array_equal(matches.iou, expected_matches.iou)


def test_no_more_boxes_are_compared_at_once_however_many_there_are(monkeypatch):
    widths = []

    def noted(anchors, gt_boxes, **settings):
        iou = pairwise_iou(anchors, gt_boxes, **settings)
        widths.append(iou.shape[-1])
        return iou

    monkeypatch.setattr(anchor_labels, "pairwise_iou", noted)
    label_and_match(**crowded())
    assert widths == [anchor_labels._BOXES_AT_ONCE] * 3
    widths.clear()
    label_and_match(**crowded(5))
    assert widths == [5]
