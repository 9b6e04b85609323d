"""Losses of boxes that grow as their intersection over union falls.

Boxes are float32 [..., 4], (ymin, xmin, ymax, xmax) in pixels with continuous corners,
minimal ones first. Gradients are finite for boxes without area and for boxes that lie
far apart, too.
"""

import math

import tensorflow as tf

from tf_frcnn.ops.boxes import box_areas, box_sides

# The smallest divisor, in pixels or square pixels: torchvision adds as much.
_LEAST = 1e-7


def giou_losses(boxes: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """Computes 1 - IoU + (C - U) / C, C and U the areas of enclosing box and union.

    Args:
        boxes: float32 [..., 4].
        others: float32 [..., 4], a partner of each box.

    Returns:
        float32 [...] in 0..2; 1 for two boxes without area at the same place.

    Source: Rezatofighi et al. 2019, algorithm 1.
    """
    iou, union = _iou_and_union(boxes, others)
    enclosing = box_areas(_enclosing(boxes, others))
    return 1.0 - iou + (enclosing - union) / tf.maximum(enclosing, _LEAST)


def diou_losses(boxes: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """Computes 1 - IoU + (distance of centres / diagonal of the enclosing box)^2.

    Args:
        boxes: float32 [..., 4].
        others: float32 [..., 4], a partner of each box.

    Returns:
        float32 [...] in 0..2; 1 for two boxes without area at the same place.

    Source: Zheng et al. 2020, equation 7.
    """
    iou, _ = _iou_and_union(boxes, others)
    return 1.0 - iou + _squared_distances(boxes, others)


def ciou_losses(boxes: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
    """Adds the difference of the aspect ratios to `diou_losses`.

    The term is a v, where v = (2 (atan(w/h) - atan(w'/h')) / pi)^2 and
    a = v / (1 - IoU + v), a constant for the gradient.

    Args:
        boxes: float32 [..., 4].
        others: float32 [..., 4], a partner of each box.

    Returns:
        float32 [...], at least 0.

    Source: Zheng et al. 2020, equations 8 to 11.
    """
    iou, _ = _iou_and_union(boxes, others)
    angles = 2.0 / math.pi * (_aspect_angles(boxes) - _aspect_angles(others))
    difference = tf.square(angles)
    factor = difference / tf.maximum(1.0 - iou + difference, _LEAST)
    aspect = tf.stop_gradient(factor) * difference
    return 1.0 - iou + _squared_distances(boxes, others) + aspect


def _iou_and_union(boxes, others):
    low = tf.maximum(boxes[..., :2], others[..., :2])
    high = tf.minimum(boxes[..., 2:], others[..., 2:])
    intersection = tf.reduce_prod(tf.maximum(high - low, 0.0), axis=-1)
    union = box_areas(boxes) + box_areas(others) - intersection
    return intersection / tf.maximum(union, _LEAST), union


def _enclosing(boxes, others):
    low = tf.minimum(boxes[..., :2], others[..., :2])
    return tf.concat([low, tf.maximum(boxes[..., 2:], others[..., 2:])], axis=-1)


def _squared_distances(boxes, others):
    """Returns the squared distances of centres, over those of the enclosing corners."""
    shifts = 0.5 * (boxes[..., :2] + boxes[..., 2:] - others[..., :2] - others[..., 2:])
    enclosing = _enclosing(boxes, others)
    sides = enclosing[..., 2:] - enclosing[..., :2]
    diagonals = tf.reduce_sum(tf.square(sides), axis=-1)
    return tf.reduce_sum(tf.square(shifts), axis=-1) / tf.maximum(diagonals, _LEAST)


def _aspect_angles(boxes):
    """Returns atan(width / height)."""
    heights, widths = (tf.maximum(side, _LEAST) for side in box_sides(boxes))
    return tf.atan2(widths, heights)
