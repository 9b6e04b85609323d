"""The matching of anchors and RoIs to ground-truth boxes."""

import tensorflow as tf

from tf_frcnn.ops.boxes import covered_shares
from tf_frcnn.structures import Matches

# More of a box's area than this lies in a crowd region that the box belongs to.
_CROWD_SHARE = 0.7


def best_matches(iou: tf.Tensor, gt_valid: tf.Tensor) -> Matches:
    """Finds the ground-truth box of highest IoU for each box, the first on ties.

    Args:
        iou: float32 [B, N, G].
        gt_valid: bool [B, G], False in padded rows.

    Returns:
        `Matches`; index 0 and IoU -1 where an image has no ground truth.
    """
    iou = tf.where(gt_valid[:, tf.newaxis], iou, -1.0)
    return Matches(
        index=tf.argmax(iou, axis=-1, output_type=tf.int32),
        iou=tf.reduce_max(iou, axis=-1),
    )


def inside_crowd(
    boxes: tf.Tensor, gt_boxes: tf.Tensor, crowd: tf.Tensor, *, plus_one: bool = False
) -> tf.Tensor:
    """Returns whether more than 0.7 of each box's area lies in one crowd region.

    Args:
        boxes: float32 [N, 4] or [B, N, 4], pixels.
        gt_boxes: float32 [B, G, 4], pixels.
        crowd: bool [B, G], which of them are crowd regions; False in padded rows.
        plus_one: corners are inclusive pixels.

    Returns:
        bool [B, N].

    Source: py-faster-rcnn:lib/datasets/coco.py, `_filter_crowd_proposals`, which leaves
        such proposals out of the training; Detectron, `TRAIN.CROWD_FILTER_THRESH`.
    """
    shares = covered_shares(boxes, gt_boxes, plus_one=plus_one)
    is_covered = (shares > _CROWD_SHARE) & crowd[:, tf.newaxis]
    return tf.reduce_any(is_covered, axis=-1)


def label_anchors(
    iou: tf.Tensor,
    anchor_valid: tf.Tensor,
    gt_valid: tf.Tensor,
    *,
    positive_iou: float = 0.7,
    negative_iou: float = 0.3,
    best_is_positive: bool = True,
    clobber_positives: bool = False,
) -> tf.Tensor:
    """Labels anchors by their overlap with the ground truth.

    Positive: IoU >= `positive_iou` with any box, or, unless it is switched off, the
    highest IoU that a box has with any valid anchor (all that tie). Negative: IoU <
    `negative_iou` with every box. A box that no valid anchor touches makes no anchor
    positive; tf-faster-rcnn and simple-faster-rcnn-pytorch turn all anchors of IoU 0
    positive there.

    Args:
        iou: float32 [B, N, G].
        anchor_valid: bool [B, N], the anchors that take part.
        gt_valid: bool [B, G], False in padded rows.
        positive_iou: in (0, 1].
        negative_iou: in [0, positive_iou].
        best_is_positive: the best anchor of a box is positive whatever its IoU.
        clobber_positives: negatives win over the best anchor of a box.

    Returns:
        int32 [B, N]: 1 object, 0 background, -1 neither or not valid. All valid
        anchors of an image without ground truth are 0.

    Source: Ren et al. 2015, section 3.1.2; tf-faster-rcnn:lib/layer_utils/
        anchor_target_layer.py.
    """
    pairs_valid = anchor_valid[:, :, tf.newaxis] & gt_valid[:, tf.newaxis]
    iou = tf.where(pairs_valid, iou, -1.0)
    best_iou = tf.reduce_max(iou, axis=2)
    negative = best_iou < negative_iou
    positive = best_iou >= positive_iou
    if best_is_positive:
        gt_best_iou = tf.reduce_max(iou, axis=1, keepdims=True)
        is_best_of_a_box = tf.reduce_any((iou == gt_best_iou) & (iou > 0.0), axis=2)
        if clobber_positives:
            is_best_of_a_box &= ~negative
        positive |= is_best_of_a_box
    labels = tf.where(positive, 1, tf.where(negative, 0, -1))
    return tf.where(anchor_valid, labels, -1)
