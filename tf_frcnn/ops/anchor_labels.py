"""The labels of all anchors, from a few ground-truth boxes at a time.

A pyramid has a quarter of a million anchors, and an image of a crowd hundreds of boxes:
the IoU of all pairs would take gigabytes.
"""

import tensorflow as tf

from tf_frcnn.ops.boxes import pairwise_iou
from tf_frcnn.ops.matching import best_matches, inside_crowd, label_anchors
from tf_frcnn.structures import Matches

_BOXES_AT_ONCE = 16
# On a GPU TensorFlow adds and compares numbers of int32 in the memory of the host.
_WHOLE = tf.int64


def label_and_match(
    anchors: tf.Tensor,
    anchor_valid: tf.Tensor,
    gt_boxes: tf.Tensor,
    gt_valid: tf.Tensor,
    crowd: tf.Tensor | None = None,
    *,
    plus_one: bool = False,
    **rule,
) -> tuple[tf.Tensor, Matches]:
    """Labels anchors and finds the box of each, as if all pairs were seen at once.

    Args:
        anchors: float32 [N, 4] or [B, N, 4], pixels.
        anchor_valid: bool [B, N], the anchors that take part.
        gt_boxes: float32 [B, G, 4], pixels.
        gt_valid: bool [B, G], the objects.
        crowd: bool [B, G], crowd regions, within which no anchor is background.
        plus_one: corners are inclusive pixels.
        **rule: thresholds of `ops.matching.label_anchors`.

    Returns:
        The labels of `label_anchors`, and the `Matches` of `best_matches`.
    """
    boxes = {"gt_boxes": gt_boxes, "gt_valid": gt_valid}
    boxes |= {} if crowd is None else {"crowd": crowd}
    num_boxes = tf.shape(gt_boxes)[1]
    size = tf.minimum(num_boxes, _BOXES_AT_ONCE)

    def add_part(start, labels, index, iou):
        # The last part begins early enough to be as long as the others.
        first = tf.minimum(start, num_boxes - size)
        rows = first + tf.range(size)
        own = {name: tf.gather(value, rows, axis=1) for name, value in boxes.items()}
        more, matches = _label_part(
            anchors, anchor_valid, **own, plus_one=plus_one, rule=rule
        )
        is_better = matches.iou > iou
        return (
            start + size,
            _join_labels(labels, more),
            tf.where(is_better, tf.cast(first, _WHOLE) + matches.index, index),
            tf.maximum(matches.iou, iou),
        )

    labels = tf.cast(tf.where(anchor_valid, 0, -1), _WHOLE)
    state = (0, labels, tf.zeros_like(labels), tf.fill(tf.shape(labels), -1.0))
    _, labels, index, iou = tf.while_loop(
        lambda start, *_: start < num_boxes, add_part, state, parallel_iterations=1
    )
    return tf.cast(labels, tf.int32), Matches(tf.cast(index, tf.int32), iou)


def _label_part(
    anchors, anchor_valid, gt_boxes, gt_valid, crowd=None, *, plus_one, rule
) -> tuple[tf.Tensor, Matches]:
    """Returns the labels and matches where there are these boxes alone, as `_WHOLE`."""
    iou = pairwise_iou(anchors, gt_boxes, plus_one=plus_one)
    labels = label_anchors(iou, anchor_valid, gt_valid, **rule)
    if crowd is not None:
        ignored = inside_crowd(anchors, gt_boxes, crowd, plus_one=plus_one)
        labels = tf.where((labels == 0) & ignored, -1, labels)
    matches = best_matches(iou, gt_valid)
    matches = matches._replace(index=tf.cast(matches.index, _WHOLE))
    return tf.cast(labels, _WHOLE), matches


def _join_labels(labels: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """Returns 1 where one is an object, else -1 where one is no background."""
    positive = (labels == 1) | (others == 1)
    return tf.where(positive, tf.ones_like(labels), tf.minimum(labels, others))
