"""Boxes as deltas (dy, dx, dh, dw) relative to a source box, and back.

dy = (centre - source centre) / source height, dh = log(height / source height).
Source: Girshick et al. 2014, appendix C; Ren et al. 2015, equation 2.
"""

import tensorflow as tf

from tf_frcnn.ops.boxes import box_sides

# The smallest side that a box is encoded with: float32 machine epsilon, as
# simple-faster-rcnn-pytorch does, so that a degenerate box causes no infinity.
_MIN_SIDE = 1.1920929e-07


def encode_boxes(
    boxes: tf.Tensor,
    sources: tf.Tensor,
    *,
    stds: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0),
    plus_one: bool = False,
) -> tf.Tensor:
    """Encodes boxes as deltas relative to source boxes.

    Args:
        boxes: float32 [..., 4], the target boxes, pixels.
        sources: float32 [..., 4], anchors or RoIs, pixels.
        stds: divisors of (dy, dx, dh, dw).
        plus_one: corners are inclusive pixels.

    Returns:
        float32 [..., 4], deltas.
    """
    centres, sides = _centres_and_sides(boxes, plus_one)
    source_centres, source_sides = _centres_and_sides(sources, plus_one)
    shifts = (centres - source_centres) / source_sides
    deltas = tf.concat([shifts, tf.math.log(sides / source_sides)], axis=-1)
    return deltas / tf.constant(stds, deltas.dtype)


def decode_boxes(
    deltas: tf.Tensor,
    sources: tf.Tensor,
    *,
    stds: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0),
    plus_one: bool = False,
    max_log_scale: float | None = None,
) -> tf.Tensor:
    """Applies deltas to source boxes.

    With `plus_one` the result is not the inverse of `encode_boxes`: the maximal corner
    comes back one pixel larger, as in the caffe line.

    Args:
        deltas: float32 [..., 4].
        sources: float32 [..., 4], anchors or RoIs, pixels.
        stds: factors of (dy, dx, dh, dw).
        plus_one: the sources' corners are inclusive pixels.
        max_log_scale: upper bound of dh and dw, in units of the log; None for none.

    Returns:
        float32 [..., 4], boxes in pixels, not clipped.

    Source: tf-faster-rcnn:lib/model/bbox_transform.py for `plus_one`; torchvision
        BoxCoder for `max_log_scale`.
    """
    deltas = deltas * tf.constant(stds, deltas.dtype)
    shifts, log_scales = deltas[..., :2], deltas[..., 2:]
    if max_log_scale is not None:
        log_scales = tf.minimum(log_scales, max_log_scale)
    source_centres, source_sides = _centres_and_sides(sources, plus_one)
    centres = shifts * source_sides + source_centres
    half_sides = 0.5 * tf.exp(log_scales) * source_sides
    return tf.concat([centres - half_sides, centres + half_sides], axis=-1)


def _centres_and_sides(boxes, plus_one):
    sides = tf.stack(box_sides(boxes, plus_one=plus_one), axis=-1)
    sides = tf.maximum(sides, _MIN_SIDE)
    return boxes[..., :2] + 0.5 * sides, sides
