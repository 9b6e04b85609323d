"""Examples that users bring as `tf.data` datasets, in the forms that are common.

An element is one image with its objects, in one of these forms:

- as TensorFlow Datasets has it: `image`, and `objects` with `bbox`, shares of the
  image's sides in the order (ymin, xmin, ymax, xmax), and `label` (KITTI: `type`; Open
  Images: `bobjects`);
- a dict `image`, `boxes`, `labels`, whose box format is stated;
- a pair (image, {"boxes", "labels"}), likewise.

Images may be encoded (string), or of any numeric type in 0..255, grey, RGB or RGBA.
Batches of the last two are taken apart. Rows of label -1 are padding. `difficult` and
`crowd`, a bool per object, may come with the labels.
"""

import functools
from typing import Any

import tensorflow as tf
from keras.utils.bounding_boxes import convert_format

from tf_frcnn.data.checks.problems import DataError
from tf_frcnn.data.decoding.pictures import UNIT_RANGE, lies_in_unit_range, to_rgb
from tf_frcnn.data.pipeline.grouping import Example
from tf_frcnn.data.tfds_features import (
    CROWD,
    DIFFICULT,
    LABELS,
    OBJECTS,
    counts_from_one,
    is_upside_down,
)

BOX_FORMATS = (
    *("yxyx", "xyxy", "xywh", "center_xywh", "center_yxhw"),
    *("rel_yxyx", "rel_xyxy", "rel_xywh", "rel_center_xywh"),
)
# What an error in the graph begins with that the data has caused.
BAD_DATA = "Bad data"


def check_box_format(box_format: str | None) -> None:
    """Raises a ValueError for an unknown format; None is none."""
    if box_format not in (None, *BOX_FORMATS):
        raise ValueError(
            f"box_format = {box_format!r} must be one of {', '.join(BOX_FORMATS)}."
        )


def is_of_batches(dataset: tf.data.Dataset) -> bool:
    """Returns whether a dataset holds batches for the network already.

    Their parts may also come as Keras's pairs, ({"images", ...}, {"boxes", "labels"}).
    """
    spec = dataset.element_spec
    if isinstance(spec, tuple) and spec and isinstance(spec[0], dict):
        spec = spec[0]
    if isinstance(spec, dict):
        return "images" in spec
    return isinstance(spec, tf.TensorSpec) and spec.shape.rank == 4


def single_examples(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Returns the dataset of single images, taking batches of them apart."""
    image = _image_in(dataset.element_spec)
    return dataset.unbatch() if image.shape.rank == 4 else dataset


def has_objects(dataset: tf.data.Dataset) -> bool:
    """Returns whether a dataset of single examples has more than images."""
    return _objects_in(dataset.element_spec) is not None


def check_form(dataset: tf.data.Dataset, box_format: str | None) -> None:
    """Raises a DataError for elements of an unknown form, or of an unstated format.

    Args:
        dataset: of single examples.
        box_format: of `BOX_FORMATS`, or None.
    """
    spec = dataset.element_spec
    _image_in(spec)
    objects = _objects_in(spec)
    if objects is None:
        return
    of_tfds = ("bbox", _label_name(objects) or "label")
    needed = of_tfds if _is_of_tfds(spec) else ("boxes", "labels")
    if any(name not in objects for name in needed):
        raise DataError(
            f"The dataset's objects have {', '.join(objects)}; "
            f"{' and '.join(needed)} are needed."
        )
    labels, boxes = objects[needed[1]], objects[needed[0]]
    if labels.dtype == tf.string:
        raise DataError(
            f"The dataset's {needed[1]} are texts; give whole numbers, the places of "
            "the names in the model's class_names, counted from 0."
        )
    if not boxes.shape[:1].is_compatible_with(labels.shape[:1]):
        raise DataError(
            f"The dataset has {boxes.shape[0]} boxes, but {labels.shape[0]} labels."
        )
    if not _is_of_tfds(spec) and box_format is None:
        raise DataError(
            "The dataset has boxes, but their format is not stated: give box_format to "
            f"from_preset, one of {', '.join(BOX_FORMATS)}."
        )


def read_example(
    element: Any, row: tf.Tensor, *, box_format: str | None, num_classes: int
) -> Example:
    """Brings an element into the form of the pipeline, in the graph.

    Args:
        element: of one of the module's forms.
        row: int64 [], its place in the dataset.
        box_format: of `BOX_FORMATS`; not read where TensorFlow Datasets' names tell.
        num_classes: K.

    Returns:
        The example; it has the field `crowd` where elements have such marks.

    Raises:
        tf.errors.InvalidArgumentError: a box is not finite or not in the format's unit,
            a label is not below K, or a float image lies in 0..1; the message begins
            with `BAD_DATA`.
    """
    image = to_rgb(_image_in(element))
    objects, size = _objects_in(element), tf.shape(image)[:2]
    name = tf.strings.join(["image ", tf.strings.as_string(row)])
    if objects is None:
        boxes = tf.zeros([0, 4])
        fields = {"labels": tf.zeros([0], tf.int32), "difficult": tf.zeros([0], bool)}
    else:
        box_format = "rel_yxyx" if _is_of_tfds(element) else box_format
        boxes, fields = _read_objects(element, objects, size, box_format, name)
        checks = _checks(boxes, fields["labels"], num_classes, name)
        checks += [_check_unit(boxes, size, box_format, name)]
        with tf.control_dependencies(checks):
            boxes = tf.identity(boxes)
    with tf.control_dependencies([_check_range(image, name)]):
        image = tf.identity(image)
    fields |= {"rows": row, "image_ids": tf.strings.as_string(row)}
    return Example(image, boxes, fields)


def _image_in(element):
    """Returns the image of an element, or its spec of an element's spec."""
    if isinstance(element, tuple) and element:
        first = element[0]
        return _image_in(first) if isinstance(first, dict | tuple) else first
    if isinstance(element, dict) and "image" in element:
        return element["image"]
    if isinstance(element, dict | tuple):
        has = f"has {', '.join(map(str, element)) or 'nothing'}"
        raise DataError(
            f"The dataset's elements are not understood: one {has}. Give dicts with "
            "image, boxes and labels, pairs (image, {boxes, labels}), or the features "
            "of TensorFlow Datasets."
        )
    return element


def _objects_in(element):
    """Returns the dict that holds boxes and labels, None for images alone."""
    if isinstance(element, tuple):
        if len(element) > 2:
            raise DataError(
                "The dataset has sample weights, which a detector does not use; leave "
                "out the third part of its elements."
            )
        objects = element[1] if len(element) == 2 else None
        if objects is None or isinstance(objects, dict):
            return objects
        raise DataError(
            "The second part of the dataset's elements is no dict; give pairs (image, "
            "{boxes, labels})."
        )
    if not isinstance(element, dict):
        return None
    for name in OBJECTS:
        if isinstance(element.get(name), dict) and "bbox" in element[name]:
            return element[name]
    return element if "boxes" in element else None


def _is_of_tfds(element):
    return isinstance(element, dict) and "boxes" not in element


def _label_name(objects):
    return next((name for name in LABELS if name in objects), None)


def _read_objects(element, objects, size, box_format, name):
    """Returns boxes float32 [n, 4] and the fields of objects, padded rows left out."""
    if _is_of_tfds(element):
        boxes, labels = objects["bbox"], objects[_label_name(objects)]
    else:
        boxes, labels = objects["boxes"], objects["labels"]
    boxes = tf.reshape(tf.cast(boxes, tf.float32), [-1, 4])
    labels = tf.cast(tf.reshape(labels, [-1]), tf.int32)
    counts = [tf.shape(boxes)[0], tf.shape(labels)[0]]
    texts = [tf.strings.as_string(count) for count in counts]
    has_both = require(
        counts[0] == counts[1],
        name,
        ": ",
        texts[0],
        " boxes, but ",
        texts[1],
        " labels",
    )
    with tf.control_dependencies([has_both]):
        boxes = tf.identity(boxes)
    if is_upside_down(objects):
        ymin, xmin, ymax, xmax = tf.unstack(boxes, axis=1)
        boxes = tf.stack([1.0 - ymax, xmin, 1.0 - ymin, xmax], axis=1)
    height, width = tf.unstack(tf.cast(size, tf.float32))
    boxes = convert_format(boxes, box_format, "yxyx", height=height, width=width)
    if isinstance(element, dict) and counts_from_one(element):
        # Whole pixels, of which the shares have lost some digits.
        boxes = tf.round(1000.0 * boxes) / 1000.0 - tf.constant([1.0, 1.0, 0.0, 0.0])
    is_row = labels != -1
    fields = {"labels": labels, "difficult": tf.zeros_like(labels, bool)}
    fields |= _marks(objects)
    return boxes[is_row], {name: value[is_row] for name, value in fields.items()}


def _marks(objects):
    """Returns what the objects' marks say, bool [n] each, of those that they have."""
    names = {"difficult": ("difficult", *DIFFICULT), "crowd": ("crowd", *CROWD)}
    found = {
        field: [tf.cast(tf.reshape(objects[n], [-1]), tf.int32) > 0 for n in own]
        for field, known in names.items()
        if (own := [name for name in known if name in objects])
    }
    return {field: functools.reduce(tf.logical_or, m) for field, m in found.items()}


def _checks(boxes, labels, num_classes, name):
    """Returns assertions on an image's objects."""
    is_finite = tf.reduce_all(tf.math.is_finite(boxes))
    is_known = tf.reduce_all((labels >= 0) & (labels < num_classes))
    values = tf.strings.reduce_join(tf.strings.as_string(labels), separator=" ")
    return [
        require(is_finite, name, ": a box has a corner that is NaN or infinite"),
        require(
            is_known,
            name,
            f": labels must lie in 0..{num_classes - 1}, the classes of the model, but "
            "are ",
            values,
        ),
    ]


def _check_unit(boxes, size, box_format, name):
    """Returns an assertion that boxes, now in pixels, were in their format's unit."""
    sides = tf.tile(tf.cast(size, tf.float32), [2])
    if box_format.startswith("rel_"):
        is_met = tf.reduce_all(tf.abs(boxes) <= 2.0 * sides)
        fault = "are no shares of the sides"
    else:
        is_met = (tf.size(boxes) == 0) | tf.reduce_any(tf.abs(boxes) > 1.0)
        fault = "lie in 0..1 and seem to be shares of the sides"
    is_finite = tf.reduce_all(tf.math.is_finite(boxes))
    return require(
        is_met | ~is_finite, name, f": its boxes {fault}, but box_format = {box_format}"
    )


def _check_range(image, name):
    return require(~lies_in_unit_range(image), name, f": {UNIT_RANGE}")


def require(is_met, *parts):
    """Returns an operation that fails with `BAD_DATA` and the parts as its message."""
    return tf.debugging.Assert(is_met, [tf.strings.join([f"{BAD_DATA}: ", *parts])])
