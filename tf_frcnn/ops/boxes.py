"""Geometry of boxes: float32 [..., 4], (ymin, xmin, ymax, xmax) in pixels.

`plus_one` is the convention of caffe and VOC files: the maximal corner names the last
pixel inside the box, so a side is max - min + 1. Without it corners are continuous.
"""

import tensorflow as tf


def box_sides(boxes: tf.Tensor, *, plus_one: bool = False) -> tuple[tf.Tensor, ...]:
    """Returns the heights and widths of boxes.

    Args:
        boxes: float32 [..., 4], pixels.
        plus_one: corners are inclusive pixels.

    Returns:
        Two float32 [...]: heights and widths in pixels.
    """
    ymin, xmin, ymax, xmax = tf.unstack(boxes, axis=-1)
    offset = 1.0 if plus_one else 0.0
    return ymax - ymin + offset, xmax - xmin + offset


def box_areas(boxes: tf.Tensor, *, plus_one: bool = False) -> tf.Tensor:
    """Returns the areas of boxes: float32 [..., 4] -> float32 [...], square pixels."""
    heights, widths = box_sides(boxes, plus_one=plus_one)
    return heights * widths


def pairwise_iou(
    boxes: tf.Tensor, others: tf.Tensor, *, plus_one: bool = False
) -> tf.Tensor:
    """Computes intersection over union of each box with each other box.

    Args:
        boxes: float32 [..., N, 4], pixels.
        others: float32 [..., G, 4], pixels.
        plus_one: corners are inclusive pixels.

    Returns:
        float32 [..., N, G] in 0..1. Two boxes without area have IoU 0.
    """
    first, second = boxes[..., :, tf.newaxis, :], others[..., tf.newaxis, :, :]
    intersection = _intersections(first, second, plus_one)
    areas = box_areas(first, plus_one=plus_one) + box_areas(second, plus_one=plus_one)
    return tf.math.divide_no_nan(intersection, areas - intersection)


def covered_shares(
    boxes: tf.Tensor, others: tf.Tensor, *, plus_one: bool = False
) -> tf.Tensor:
    """Computes the share of each box's area that each other box covers.

    Args:
        boxes: float32 [..., N, 4], pixels.
        others: float32 [..., G, 4], pixels.
        plus_one: corners are inclusive pixels.

    Returns:
        float32 [..., N, G] in 0..1; 0 for a box without area.
    """
    first, second = boxes[..., :, tf.newaxis, :], others[..., tf.newaxis, :, :]
    intersection = _intersections(first, second, plus_one)
    return tf.math.divide_no_nan(intersection, box_areas(first, plus_one=plus_one))


def _intersections(first, second, plus_one):
    """Returns the areas that boxes share, whose shapes [..., 4] are broadcast."""
    # Side by side: broadcasting pairs of sides takes twice the memory and the time.
    first, second = tf.unstack(first, axis=-1), tf.unstack(second, axis=-1)
    low = [tf.maximum(first[n], second[n]) for n in (0, 1)]
    high = [tf.minimum(first[n], second[n]) for n in (2, 3)]
    offset = 1.0 if plus_one else 0.0
    heights, widths = (tf.maximum(high[n] - low[n] + offset, 0.0) for n in (0, 1))
    return heights * widths


def clip_to_image(
    boxes: tf.Tensor,
    image_sizes: tf.Tensor,
    *,
    plus_one: bool = False,
    own_side: bool = False,
) -> tf.Tensor:
    """Moves corners that lie outside the image onto its border.

    Args:
        boxes: float32 [B, N, 4], pixels.
        image_sizes: float32 [B, 2], (height, width) of the image in pixels,
            without the canvas padding around it.
        plus_one: the border is the last pixel, height - 1 and width - 1.
        own_side: minimal corners are clipped only at 0, maximal ones only at the
            opposite border.

    Returns:
        float32 [B, N, 4]. A box wholly outside collapses to zero width or height; with
        `own_side` its corners swap.

    Source: Ren et al. 2015, section 3.3; with `plus_one`
        tf-faster-rcnn:lib/model/bbox_transform.py; with `own_side` its test.py.
    """
    limits = tf.tile(image_sizes, [1, 2])[:, tf.newaxis] - (1.0 if plus_one else 0.0)
    if not own_side:
        return tf.clip_by_value(boxes, 0.0, limits)
    low = tf.maximum(boxes[..., :2], 0.0)
    return tf.concat([low, tf.minimum(boxes[..., 2:], limits[..., 2:])], axis=-1)


def inside_image(
    boxes: tf.Tensor,
    image_sizes: tf.Tensor,
    *,
    border: float = 0.0,
    plus_one: bool = False,
) -> tf.Tensor:
    """Returns whether each box crosses the image's border by at most `border` pixels.

    Args:
        boxes: float32 [N, 4] or [B, N, 4], pixels.
        image_sizes: float32 [B, 2], (height, width) of the image in pixels.
        border: how far a box may reach beyond the image, in pixels.
        plus_one: the maximal corner must be a pixel of the image.

    Returns:
        bool [B, N].

    Source: Ren et al. 2015, section 3.3; tf-faster-rcnn:lib/layer_utils/
        anchor_target_layer.py and simple-faster-rcnn-pytorch for the two conventions.
    """
    limits = image_sizes[:, tf.newaxis] + border
    high = boxes[..., 2:] < limits if plus_one else boxes[..., 2:] <= limits
    low = boxes[..., :2] >= -border
    return tf.reduce_all(low & high, axis=-1)
