"""A batch as models read it: its defaults, and the convention of its boxes.

A batch is a dict: `images` float32 [B, H, W, 3], RGB, 0..255, zero beyond the image;
`image_sizes` float32 [B, 2], (height, width) of each image on its canvas (default: the
canvas); `scales` float32 [B, 2], network pixels per file pixel along y and x (default:
1); `file_sizes` float32 [B, 2], (height, width) in pixels of the file (default: as the
scales have it, rounded); and for training `boxes` float32 [B, G, 4] in network pixels
and `labels` int32 [B, G] in 0..K-1, -1 in padded rows. Other keys are not read.
"""

import tensorflow as tf

from tf_frcnn.data.pipeline.tensor_examples import BAD_DATA

Batch = dict[str, tf.Tensor]


def with_defaults(inputs: Batch | tf.Tensor) -> Batch:
    """Returns the batch with defaults for missing entries; images may come alone."""
    batch = dict(inputs) if isinstance(inputs, dict) else {"images": inputs}
    images = batch["images"] = tf.cast(batch["images"], tf.float32)
    canvas = tf.cast(tf.shape(images)[1:3], tf.float32)
    whole = tf.tile(canvas[tf.newaxis], [tf.shape(images)[0], 1])
    batch.setdefault("image_sizes", whole)
    batch.setdefault("scales", tf.ones_like(whole))
    file_sizes = tf.round(batch["image_sizes"] / batch["scales"])
    batch.setdefault("file_sizes", file_sizes)
    return batch


def check_objects(batch: Batch, num_classes: int) -> Batch:
    """Returns a batch whose objects are sound, labels as int32.

    Args:
        batch: with `boxes` and `labels`.
        num_classes: K.

    Raises:
        ValueError: it has no objects at all.
        tf.errors.InvalidArgumentError: a box is not finite, or a label is not below K;
            the message begins with `BAD_DATA`.
    """
    if not isinstance(batch, dict) or not {"boxes", "labels"} <= batch.keys():
        has = ", ".join(batch) if isinstance(batch, dict) else "images alone"
        raise ValueError(
            f"A batch needs boxes and labels to learn from, but has {has}."
        )
    labels = tf.cast(batch["labels"], tf.int32)
    boxes = tf.cast(batch["boxes"], tf.float32)
    is_object = (labels >= 0)[..., tf.newaxis]
    is_finite = tf.math.is_finite(boxes) | ~is_object
    names = batch.get("image_ids", "unknown")
    checks = [
        tf.debugging.Assert(
            tf.reduce_all(is_finite),
            [f"{BAD_DATA}: a box is NaN or infinite; images", names],
            100,
        ),
        tf.debugging.Assert(
            tf.reduce_all((labels >= -1) & (labels < num_classes)),
            [
                f"{BAD_DATA}: labels must lie in 0..{num_classes - 1}, or be -1 in "
                "padded rows, but reach from",
                *(
                    tf.reduce_min(labels),
                    "to",
                    tf.reduce_max(labels),
                    "; images",
                    names,
                ),
            ],
            100,
        ),
    ]
    with tf.control_dependencies(checks):
        return batch | {"boxes": tf.identity(boxes), "labels": tf.identity(labels)}


def canvas_size(batch: Batch) -> tf.Tensor:
    """Returns int32 [2], the (height, width) of the batch's canvas in pixels."""
    return tf.shape(batch["images"])[1:3]


def inner_boxes(boxes: tf.Tensor, batch: Batch, *, plus_one: bool) -> tf.Tensor:
    """Returns continuous boxes of a batch as the network measures them.

    Args:
        boxes: float32 [B, M, 4], continuous corners in network pixels.
        batch: its `scales` are read.
        plus_one: boxes inside the network are inclusive pixels, as in the caffe line.
    """
    if not plus_one:
        return boxes
    scales = batch["scales"]
    last_pixel = tf.concat([tf.zeros_like(scales), scales], axis=-1)
    return boxes - last_pixel[:, tf.newaxis]


def in_file(boxes: tf.Tensor, batch: Batch) -> tf.Tensor:
    """Returns boxes float32 [B, M, 4] of network pixels in pixels of the file."""
    return boxes / tf.tile(batch["scales"], [1, 2])[:, tf.newaxis]


def with_last_pixel(boxes: tf.Tensor, valid: tf.Tensor, *, plus_one: bool) -> tf.Tensor:
    """Returns boxes of the file as continuous corners; zero in padded rows.

    Args:
        boxes: float32 [B, M, 4], pixels of the file.
        valid: bool [B, M], False in padded rows.
        plus_one: the boxes are inclusive pixels.
    """
    if plus_one:
        boxes += tf.constant([0.0, 0.0, 1.0, 1.0])
    return tf.where(valid[..., tf.newaxis], boxes, 0.0)
