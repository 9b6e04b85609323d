"""Greedy non-maximum suppression of all images at once, tile by tile."""

import tensorflow as tf

from tf_frcnn.ops.boxes import pairwise_iou

# Boxes that are looked at together. More of them take fewer steps, but compare boxes
# with others that are dropped anyway.
TILE = 512


def suppress_in_tiles(
    boxes: tf.Tensor, num_valid: tf.Tensor, iou_threshold: float, max_outputs: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Drops boxes that overlap a better, kept one by more than the threshold.

    A tile of the best boxes that are left is compared with all that were kept before,
    and then within itself, until every image is full or has no boxes left. The result
    is that of taking one box after the other.

    Args:
        boxes: float32 [B, N, 4], best first, pixels.
        num_valid: int32 [B]; the rows from there on are padding.
        iou_threshold: in 0..1; at it exactly a box stays.
        max_outputs: M, rows of the result.

    Returns:
        rows: int32 [B, M], of `boxes`, best first; 0 from the number kept on.
        num_kept: int32 [B].
    """
    tile = min(boxes.shape[1] or TILE, TILE)
    batch, missing = tf.shape(boxes)[0], -tf.shape(boxes)[1] % tile
    boxes = tf.pad(boxes, [[0, 0], [0, missing], [0, 0]])
    tiles = tf.reshape(boxes, [batch, -1, tile, 4])
    place = tf.range(max_outputs)[tf.newaxis]

    def is_unfinished(start, rows, num_kept):
        return tf.reduce_any((num_valid > start) & (num_kept < max_outputs))

    def take_tile(start, rows, num_kept):
        own = tf.gather(tiles, start // tile, axis=1)
        alive = start + tf.range(tile)[tf.newaxis] < num_valid[:, tf.newaxis]
        is_kept = (place < num_kept[:, tf.newaxis])[:, tf.newaxis]
        better = tf.gather(boxes, rows, batch_dims=1)
        alive &= ~_any_overlap(own, better, is_kept, iou_threshold)
        alive = _suppress_within(own, alive, iou_threshold)
        counts = tf.cumsum(tf.cast(alive, tf.int32), axis=1)
        # The box number n of the tile comes after n others: no scatter is needed.
        number = place - num_kept[:, tf.newaxis]
        comes_after = counts[:, tf.newaxis] <= number[..., tf.newaxis]
        new = start + tf.math.count_nonzero(comes_after, 2, dtype=tf.int32)
        total = tf.minimum(num_kept + counts[:, -1], max_outputs)
        is_new = (number >= 0) & (place < total[:, tf.newaxis])
        return start + tile, tf.where(is_new, new, rows), total

    state = 0, tf.zeros([batch, max_outputs], tf.int32), tf.zeros([batch], tf.int32)
    _, rows, num_kept = tf.while_loop(is_unfinished, take_tile, state)
    return rows, num_kept


def _any_overlap(boxes, others, counts, iou_threshold):
    """Returns bool [B, n]: whether one of the m others that count overlaps too much.

    Args:
        boxes: float32 [B, n, 4].
        others: float32 [B, m, 4].
        counts: bool [B, 1 or n, m].
        iou_threshold: in 0..1.
    """
    overlaps = pairwise_iou(boxes, others) > iou_threshold
    return tf.reduce_any(overlaps & counts, axis=2)


def _suppress_within(boxes, alive, iou_threshold):
    """Returns bool [B, n]: the boxes alive that no better one of those kept drops.

    All that none drops are the same from one round to the next; the best box whose
    state is wrong is right a round later, so the rounds end.
    """
    order = tf.range(tf.shape(boxes)[1])
    drops = pairwise_iou(boxes, boxes) > iou_threshold
    drops &= order[tf.newaxis] < order[:, tf.newaxis]

    def differs(kept, previous):
        return tf.reduce_any(kept != previous)

    def next_round(kept, _):
        return alive & ~tf.reduce_any(drops & kept[:, tf.newaxis], axis=2), kept

    kept, _ = tf.while_loop(differs, next_round, next_round(alive, alive))
    return kept
