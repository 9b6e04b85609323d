"""Greedy non-maximum suppression over a batch, padded to a fixed size."""

import tensorflow as tf

from tf_frcnn.ops.nms_tiles import suppress_in_tiles


def non_max_suppression(
    boxes: tf.Tensor,
    scores: tf.Tensor,
    valid: tf.Tensor,
    *,
    max_outputs: int,
    iou_threshold: float,
    plus_one: bool = False,
    unroll: bool = False,
    for_xla: bool = False,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Drops a box if its IoU with a better, kept box exceeds the threshold.

    At the threshold exactly it stays. Boxes of equal scores keep their order. The
    kernel takes sorted boxes and their ranks as scores, because under XLA it breaks
    ties of scores wrongly, and because padding must come last.

    Args:
        boxes: float32 [B, N, 4], pixels.
        scores: float32 [B, N].
        valid: bool [B, N]; rows that are False are never kept.
        max_outputs: M, rows of the result.
        iou_threshold: in 0..1.
        plus_one: corners are inclusive pixels.
        unroll: repeats the operations for each image instead of looping; B must then be
            static. A single image never needs a loop.
        for_xla: takes all images at once, tile by tile, instead of TensorFlow's kernel
            for one image: many times faster under XLA. So it is where there is a GPU.

    Returns:
        index: int32 [B, M], rows of `boxes`, best first; 0 in padded rows.
        kept: bool [B, M], False in padded rows.
    """
    scores = tf.where(valid, scores, scores.dtype.min)
    order = tf.argsort(scores, direction="DESCENDING", stable=True)
    boxes = tf.gather(boxes, order, batch_dims=1)
    num_valid = tf.math.count_nonzero(valid, 1, dtype=tf.int32)
    if plus_one:
        boxes += tf.constant([0.0, 0.0, 1.0, 1.0])
    if not unroll and (for_xla or tf.config.list_physical_devices("GPU")):
        found = suppress_in_tiles(boxes, num_valid, iou_threshold, max_outputs)
    else:
        found = _suppress_by_image(boxes, num_valid, iou_threshold, max_outputs, unroll)
    sorted_index, num_kept = found
    kept = tf.range(max_outputs)[tf.newaxis] < num_kept[:, tf.newaxis]
    index = tf.gather(order, tf.where(kept, sorted_index, 0), batch_dims=1)
    return tf.where(kept, index, 0), kept


def _suppress_by_image(boxes, num_valid, iou_threshold, max_outputs, unroll):
    """Returns int32 [B, M] rows of boxes that are best first, and their number, [B]."""
    missing = tf.maximum(max_outputs - tf.shape(boxes)[1], 0)
    boxes = tf.pad(boxes, [[0, 0], [0, missing], [0, 0]])  # XLA's kernel needs M rows.
    num_boxes = tf.shape(boxes)[1]
    ranks = -tf.cast(tf.range(num_boxes), tf.float32)
    below_all = -tf.cast(num_boxes, tf.float32) - 1.0

    def of_one_image(image):
        image_boxes, image_num_valid = image
        selected = tf.raw_ops.NonMaxSuppressionV4(
            boxes=image_boxes,
            scores=tf.where(tf.range(num_boxes) < image_num_valid, ranks, below_all),
            max_output_size=max_outputs,
            iou_threshold=iou_threshold,
            score_threshold=below_all + 0.5,
            pad_to_max_output_size=True,
        )
        return selected.selected_indices, selected.valid_outputs

    images = boxes, num_valid
    if unroll or boxes.shape[0] == 1:
        rows = (tf.unstack(values, boxes.shape[0]) for values in images)
        each = map(of_one_image, zip(*rows, strict=True))
        return tuple(map(tf.stack, zip(*each, strict=True)))
    specs = tf.TensorSpec([max_outputs], tf.int32), tf.TensorSpec([], tf.int32)
    return tf.map_fn(of_one_image, images, fn_output_signature=specs)
