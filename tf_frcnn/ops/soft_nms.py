"""Soft non-maximum suppression over a batch, padded to a fixed size."""

import tensorflow as tf

from tf_frcnn.ops.boxes import pairwise_iou

# Of rows that are invalid or taken; overlaps shrink it, but it stays below 0.
_NONE = -1.0


def soft_non_max_suppression(
    boxes: tf.Tensor,
    scores: tf.Tensor,
    valid: tf.Tensor,
    *,
    max_outputs: int,
    iou_threshold: float,
    plus_one: bool = False,
    unroll: bool = False,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Takes the best box again and again, and lowers the scores of those it overlaps.

    The score of a box whose IoU with the box taken exceeds the threshold is multiplied
    by 1 - IoU. Of equal scores the first box is taken.

    Args:
        boxes: float32 [B, N, 4], pixels.
        scores: float32 [B, N], not negative.
        valid: bool [B, N]; rows that are False are never taken.
        max_outputs: M, rows of the result.
        iou_threshold: in 0..1.
        plus_one: corners are inclusive pixels.
        unroll: repeats the operations for each of the M rows instead of looping.

    Returns:
        index: int32 [B, M], rows of `boxes`, best first; 0 in padded rows.
        scores: float32 [B, M], lowered; 0 in padded rows.
        kept: bool [B, M], False in padded rows.

    Source: Bodla et al. 2017 (Soft-NMS), equation 2.
    """
    scores = tf.where(valid, scores, _NONE)
    columns = tf.range(tf.shape(scores)[1])

    def take(scores):
        """Returns the best row of each image, its score, and the scores after it."""
        best = tf.argmax(scores, axis=1, output_type=tf.int32)
        top = tf.reduce_max(scores, axis=1)
        box = tf.gather(boxes, best, batch_dims=1)[:, tf.newaxis]
        iou = pairwise_iou(box, boxes, plus_one=plus_one)[:, 0]
        scores *= tf.where(iou > iou_threshold, 1.0 - iou, 1.0)
        return best, top, tf.where(columns == best[:, tf.newaxis], _NONE, scores)

    if unroll:
        taken = []
        for _ in range(max_outputs):
            best, top, scores = take(scores)
            taken.append((best, top))
        index, lowered = map(tf.stack, zip(*taken, strict=True))
    else:
        index, lowered = _in_a_loop(take, scores, max_outputs)
    index, lowered = tf.transpose(index), tf.transpose(lowered)
    kept = lowered >= 0.0
    return tf.where(kept, index, 0), tf.where(kept, lowered, 0.0), kept


def _in_a_loop(take, scores, count):
    """Returns what is taken in so many turns, int32 and float32 [M, B]."""

    def turn(number, scores, index, tops):
        best, top, scores = take(scores)
        return number + 1, scores, index.write(number, best), tops.write(number, top)

    arrays = [tf.TensorArray(dtype, count) for dtype in (tf.int32, tf.float32)]
    _, _, index, tops = tf.while_loop(
        lambda number, *_: number < count, turn, (0, scores, *arrays)
    )
    return index.stack(), tops.stack()
