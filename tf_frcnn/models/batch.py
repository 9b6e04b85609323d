"""A batch as models read it: its defaults, and the convention of its boxes.

A batch is a dict: `images` float32 [B, H, W, 3], RGB, 0..255, zero beyond the image;
`image_sizes` float32 [B, 2], (height, width) of each image on its canvas (default: the
canvas); `scales` float32 [B, 2], network pixels per file pixel along y and x (default:
1); `file_sizes` float32 [B, 2], (height, width) in pixels of the file (default: as the
scales have it, rounded); and for training `boxes` float32 [B, G, 4] in network pixels
and `labels` int32 [B, G] in 0..K-1, -1 in padded rows, and `crowd` bool [B, G], where
there are crowd regions: boxes in which nothing is learned. Several devices add
`image_weights` float32 [B], of the images' losses. Other keys are not read.
Keras's pairs of a batch, or its images, and a dict of the rest do as well.
"""

from typing import Any

import keras
import tensorflow as tf

from tf_frcnn.data.pipeline.padding import with_rows
from tf_frcnn.data.pipeline.tensor_examples import BAD_DATA

Batch = dict[str, tf.Tensor]


def batch_of(data: Any) -> Batch | tf.Tensor:
    """Returns the batch in what Keras hands to a step.

    Args:
        data: a batch; or a tuple of a batch or its images, and a dict of the rest.

    Raises:
        ValueError: there are weights of samples.
    """
    batch, objects, weights = keras.utils.unpack_x_y_sample_weight(data)
    refuse_weights(sample_weight=weights)
    if not isinstance(objects, dict):
        return batch
    return (batch if isinstance(batch, dict) else {"images": batch}) | objects


def refuse_weights(**weights: Any) -> None:
    """Raises a ValueError for weights of classes or samples that are not None."""
    for name, value in weights.items():
        if value is not None:
            raise ValueError(
                f"{name} is not used by a detector, whose losses are those of sampled "
                "anchors and RoIs; leave it out."
            )


def with_defaults(inputs: Batch | tf.Tensor) -> Batch:
    """Returns the batch with defaults for missing entries; images may come alone.

    Raises:
        ValueError: the images are not a batch of three channels.
    """
    batch = dict(inputs) if isinstance(inputs, dict) else {"images": inputs}
    images = batch["images"] = tf.cast(batch["images"], tf.float32)
    if not images.shape.is_compatible_with([None, None, None, 3]):
        raise ValueError(
            f"A batch needs images of shape [B, H, W, 3], but has {images.shape}; "
            "detect takes images of any kind."
        )
    canvas = tf.cast(tf.shape(images)[1:3], tf.float32)
    whole = tf.tile(canvas[tf.newaxis], [tf.shape(images)[0], 1])
    batch.setdefault("image_sizes", whole)
    batch.setdefault("scales", tf.ones_like(whole))
    file_sizes = tf.round(batch["image_sizes"] / batch["scales"])
    batch.setdefault("file_sizes", file_sizes)
    return batch


def tensors_of(batch: Batch | tf.Tensor) -> Batch | tf.Tensor:
    """Returns the batch without what the network does not read.

    XLA supports no strings.
    """
    if not isinstance(batch, dict):
        return batch
    return {n: value for n, value in batch.items() if n not in ("image_ids", "rows")}


def require_objects(spec: Any) -> None:
    """Raises a ValueError for what is no batch to learn from.

    Args:
        spec: a batch in one of its forms, or what describes its tensors.
    """
    batch = batch_of(spec)
    if not isinstance(batch, dict) or not {"images", "boxes", "labels"} <= batch.keys():
        has = ", ".join(batch) if isinstance(batch, dict) else "images alone"
        raise ValueError(f"A batch needs images, boxes and labels, but has {has}.")
    if batch["labels"].dtype == tf.string:
        raise ValueError(
            "The labels are texts; give whole numbers, the places of the names in the "
            "model's class_names, counted from 0."
        )
    images, boxes, labels = (
        tf.TensorShape(batch[n].shape) for n in ("images", "boxes", "labels")
    )
    if (
        not images.is_compatible_with([None, None, None, 3])
        or not boxes.is_compatible_with([None, None, 4])
        or not labels.is_compatible_with(boxes[:2])
    ):
        raise ValueError(
            "A batch needs images [B, H, W, 3], boxes [B, G, 4] and labels [B, G], but "
            f"has {images}, {boxes} and {labels}."
        )


def check_objects(batch: Batch, num_classes: int) -> Batch:
    """Returns a batch that is sound, labels as int32.

    Where G is not known before, rows of padding make it 8, 16, 32 and so on: the layers
    need a row even if no image has an object, and XLA compiles few programs.

    Args:
        batch: with `boxes` and `labels`.
        num_classes: K.

    Raises:
        ValueError: it has no objects at all, or they are of another form.
        tf.errors.InvalidArgumentError: a pixel or a box is not finite, a box has no
            area, a size or scale is not positive, or a label is not below K; the
            message begins with `BAD_DATA` and names the images.
    """
    require_objects(batch)
    boxes = tf.cast(batch["boxes"], tf.float32)
    labels = tf.cast(batch["labels"], tf.int32)
    is_object = labels >= 0
    is_finite = tf.reduce_all(tf.math.is_finite(boxes), axis=2)
    has_area = tf.reduce_all(boxes[..., 2:] > boxes[..., :2], axis=2)
    last = num_classes - 1
    faults = {
        "a box is NaN or infinite": ~is_finite & is_object,
        "a box has no area, or is not (ymin, xmin, ymax, xmax)": ~has_area & is_object,
        f"a label is not in 0..{last}, or -1 in a padded row": (labels < -1)
        | (labels > last),
        "a pixel is NaN or infinite": ~_are_finite(batch["images"]),
        **{
            f"{name} has values that are not above 0": _not_positive(batch[name])
            for name in ("image_sizes", "scales", "file_sizes")
            if name in batch
        },
    }
    names = batch.get("image_ids", tf.range(tf.shape(labels)[0]))
    checks = [_refuse(bad, fault, names) for fault, bad in faults.items()]
    with tf.control_dependencies(checks):
        objects = {"boxes": tf.identity(boxes), "labels": tf.identity(labels)}
    if "crowd" in batch:
        objects["crowd"] = tf.cast(batch["crowd"], bool) & is_object
    return batch | with_rows(objects)


def _are_finite(images):
    """Returns bool [B, 1]; the sum of an image's pixels tells, in one pass."""
    sums = tf.reduce_sum(tf.cast(images, tf.float32), axis=[1, 2, 3])
    return tf.math.is_finite(sums)[:, tf.newaxis]


def _not_positive(sides):
    """Returns bool [B, 2]; NaN is not positive, and infinity neither."""
    sides = tf.cast(sides, tf.float32)
    return ~((sides > 0.0) & tf.math.is_finite(sides))


def _refuse(bad, fault, names):
    """Returns an operation that fails where bool [B, n] `bad` has a True.

    Args:
        bad: whether something is wrong, of each image.
        fault: what is.
        names: [B], of the images.
    """
    is_bad = tf.reduce_any(bad, axis=1)
    data = [f"{BAD_DATA}: {fault}; images", tf.gather(names, tf.where(is_bad)[:, 0])]
    return tf.debugging.Assert(~tf.reduce_any(is_bad), data, 100)


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
