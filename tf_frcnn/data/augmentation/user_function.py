"""A user's own change of training images: a function, or an albumentations pipeline.

It runs in Python, outside of the graph, as nothing else does in a training without
faults.
"""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tf_frcnn.data.pipeline.grouping import OF_OBJECTS, Example, select_objects
from tf_frcnn.data.pipeline.tensor_examples import BAD_DATA

_NUM_SEEDS = 2**32
_FORMAT = "pascal_voc"
# Of all calls: between its seeding and its draws a pipeline's state is its own.
_ONE_AT_A_TIME = threading.Lock()


def as_function(augment: Any) -> Callable[..., tuple]:
    """Returns what `fit` was given as a function; see `changed_by`.

    Args:
        augment: a function (image uint8 [h, w, 3], boxes float32 [n, 4], labels int32
            [n], seed) that returns a new image, boxes and labels; boxes are (ymin,
            xmin, ymax, xmax) in pixels. Or a pipeline of albumentations with
            `BboxParams(format="pascal_voc", label_fields=[...])`, one field of labels.

    Raises:
        TypeError: it is neither.
        ValueError: the pipeline does not change boxes, or has them in another format.
    """
    if hasattr(augment, "processors") and hasattr(augment, "set_random_seed"):
        return _of_pipeline(augment)
    if not callable(augment):
        raise TypeError(
            f"augment = {augment!r} must be a function (image, boxes, labels, seed) or "
            "a pipeline of albumentations, A.Compose([...], bbox_params=...)."
        )
    return augment


def changed_by(
    function: Callable[..., tuple], example: Example, seed: tf.Tensor
) -> Example:
    """Calls a user's function for an example in the file's pixels.

    Objects keep their other marks (difficult and the like) if there are as many as
    before, in their order. If not, and marks differ, the function must tell the rows.

    Args:
        function: of `as_function`; it may return a fourth value, the rows int [m] that
            its m objects had among those given.
        example: without proposals.
        seed: int64 [2].

    Returns:
        The new example; its boxes are clipped, those without area are left out.

    Raises:
        ValueError, in a graph tf.errors.InvalidArgumentError: what it returns is of
            another form; the message has `BAD_DATA`.
    """
    marks = {n: v for n, v in example.fields.items() if n in OF_OBJECTS[2:]}
    number = tf.random.stateless_uniform(
        [], seed, maxval=_NUM_SEEDS, dtype=tf.int64, alg="philox"
    )
    image = tf.cast(tf.round(tf.cast(example.image, tf.float32)), tf.uint8)

    def call(image, boxes, labels, marks, number):
        with _ONE_AT_A_TIME:
            result = function(image, boxes, labels, int(number))
        return _checked(result, marks)

    image, boxes, labels, rows = tf.numpy_function(
        call,
        [
            image,
            example.boxes,
            example.fields["labels"],
            tf.stack([tf.cast(value, tf.int32) for value in marks.values()], axis=1),
            number,
        ],
        (tf.uint8, tf.float32, tf.int32, tf.int64),
    )
    fields = dict(example.fields) | {"labels": tf.ensure_shape(labels, [None])}
    rows = tf.ensure_shape(rows, [None])
    for name, value in marks.items():
        # The row beyond the last one is for objects that are new.
        fields[name] = tf.gather(tf.concat([value, [False]], axis=0), rows)
    boxes = tf.ensure_shape(boxes, [None, 4])
    changed = Example(tf.ensure_shape(image, [None, None, 3]), boxes, fields)
    return select_objects(changed, tf.reduce_all(boxes[:, 2:] > boxes[:, :2], axis=1))


def _of_pipeline(pipeline):
    processor = pipeline.processors.get("bboxes")
    params = None if processor is None else processor.params
    fields: tuple = tuple(getattr(params, "label_fields", None) or ())
    if params is None or len(fields) != 1 or params.format != _FORMAT:
        raise ValueError(
            "augment: a pipeline of albumentations needs bbox_params=A.BboxParams("
            f'format="{_FORMAT}", label_fields=["labels"]), so that boxes follow.'
        )
    (name,) = fields

    def call(image, boxes, labels, seed):
        pipeline.set_random_seed(seed)
        # The rows stand for the labels, so that all marks of an object stay with it.
        given = {"bboxes": boxes[:, [1, 0, 3, 2]], name: np.arange(len(labels))}
        result = pipeline(image=image, **given)
        rows = np.asarray(result[name], np.int64)
        corners = np.reshape(result["bboxes"], [-1, 4])[:, [1, 0, 3, 2]]
        return result["image"], corners, labels[rows], rows

    return call


def _checked(result, marks):
    """Returns image, clipped boxes, labels and rows as NumPy's arrays.

    Args:
        result: of the user's function.
        marks: int32 [n, marks] of the objects that it was given.
    """
    if not isinstance(result, tuple | list) or len(result) not in (3, 4):
        _refuse("must return image, boxes and labels (and perhaps the objects' rows)")
    image, boxes, labels = map(np.asarray, result[:3])
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        _refuse(
            f"returned an image {image.dtype} {list(image.shape)}, which must be uint8 "
            "[h, w, 3] in 0..255; leave out normalisation, which the model does"
        )
    boxes, labels = boxes.reshape(-1, 4).astype(np.float32), labels.reshape(-1)
    if len(boxes) != len(labels) or not np.isfinite(boxes).all():
        _refuse(f"returned {len(boxes)} boxes and {len(labels)} labels, or not finite")
    boxes = np.clip(boxes, 0, np.array(image.shape[:2] * 2, np.float32))
    rows = _rows(result, len(labels), marks)
    return image, boxes, labels.astype(np.int32), rows


def _rows(result, count, marks):
    """Returns int64 [count]: the object given whose marks a new one has."""
    if len(result) == 4:
        rows = np.asarray(result[3], np.int64).reshape(-1)
        if len(rows) != count or (rows < 0).any() or (rows > len(marks)).any():
            _refuse(f"returned the rows {rows.tolist()} for {count} objects")
        return rows
    if count == len(marks):
        return np.arange(count)
    if (marks != marks[:1]).any():
        _refuse(
            f"returned {count} of {len(marks)} objects, of which some are difficult or "
            "crowds: return their rows among those given as a fourth value"
        )
    return np.zeros(count, np.int64)


def _refuse(reason):
    raise ValueError(f"{BAD_DATA}: augment {reason}")
