"""From single examples to batches of one canvas, whatever the data came from."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tf_frcnn.data.decoding.resizing import Resizing
from tf_frcnn.data.decoding.to_canvas import lay_on_canvas, to_network_size
from tf_frcnn.data.decoding.transforms import flip

Batch = dict[str, tf.Tensor]

# By field of a batch, the shape of an example's and what pads it; see `batching`.
_FIELDS: dict[str, tuple[list[int | None], Any]] = {
    "images": ([None, None, 3], 0.0),
    "image_sizes": ([2], 0.0),
    "scales": ([2], 0.0),
    "file_sizes": ([2], 0.0),
    "boxes": ([None, 4], 0.0),
    "labels": ([None], -1),
    "difficult": ([None], False),
    "crowd": ([None], False),
    "image_ids": ([], ""),
    "rows": ([], np.int64(-1)),
    "proposals": ([None, 4], 0.0),
    "proposal_valid": ([None], False),
}
# Those with a row for each object; not every data set has crowds.
OF_OBJECTS = ("boxes", "labels", "difficult", "crowd")


class Example(NamedTuple):
    """An image with its objects, in pixels of the upright image.

    Attributes:
        image: uint8 or float32 [h, w, 3], RGB, 0..255.
        boxes: float32 [n, 4], continuous corners.
        fields: the other fields of a batch, see `batching`; `proposals` are in the same
            pixels as the boxes.
    """

    image: tf.Tensor
    boxes: tf.Tensor
    fields: Batch


def resize_example(
    example: Example, resizing: Resizing, *, short_side=None, flip_seed=None
) -> Batch:
    """Brings an example to the network's size, and perhaps mirrors it.

    Args:
        example: in the file's pixels.
        resizing: to which size.
        short_side: integer [], one of the resizing's; None for its only one.
        flip_seed: int64 [2], decides with probability 0.5 to mirror it; None never
            does.

    Returns:
        The fields of a batch for this image; neither image nor boxes are padded.
    """
    example = at_network_size(example, resizing, short_side)
    return fields_of(mirrored(example, flip_seed))


def at_network_size(example: Example, resizing: Resizing, short_side=None) -> Example:
    """Resizes an example; its fields get the sizes. See `resize_example`."""
    sides, _ = to_network_size(example.image, resizing, short_side=short_side)
    image, scales = sides.pop("images"), tf.tile(sides["scales"], [2])
    example = map_boxes(example, lambda boxes: boxes * scales)
    return Example(image, example.boxes, sides | example.fields)


def mirrored(example: Example, flip_seed=None) -> Example:
    """Mirrors an example if its seed says so; see `resize_example`."""
    if flip_seed is None:
        return example
    is_drawn = tf.random.stateless_uniform([], flip_seed, alg="philox") < 0.5
    image = example.image
    flipped = map_boxes(example, lambda boxes: flip(image, boxes)[1])
    return Example(
        tf.cond(is_drawn, lambda: tf.reverse(image, [1]), lambda: image),
        tf.where(is_drawn, flipped.boxes, example.boxes),
        {
            name: tf.where(is_drawn, flipped.fields[name], value)
            if name == "proposals"
            else value
            for name, value in example.fields.items()
        },
    )


def fields_of(example: Example) -> Batch:
    """Returns an example as fields of a batch."""
    return {"images": example.image, "boxes": example.boxes} | example.fields


def map_boxes(example: Example, change: Callable[[tf.Tensor], tf.Tensor]) -> Example:
    """Changes the boxes of an example, and its proposals, [n, 4] each, likewise."""
    fields = dict(example.fields)
    if "proposals" in fields:
        valid = fields["proposal_valid"][:, tf.newaxis]
        fields["proposals"] = tf.where(valid, change(fields["proposals"]), 0.0)
    return example._replace(boxes=change(example.boxes), fields=fields)


def select_objects(example: Example, keep: tf.Tensor) -> Example:
    """Returns the example with some of its objects, bool [n]."""
    fields = {
        name: value[keep] if name in OF_OBJECTS else value
        for name, value in example.fields.items()
    }
    return Example(example.image, example.boxes[keep], fields)


def group_into_batches(
    examples: tf.data.Dataset,
    canvases: tf.Tensor | int,
    batch_size: int,
    *,
    num_boxes: int | None = None,
) -> tf.data.Dataset:
    """Batches examples of the same group; what is left over comes last.

    Args:
        examples: of (group int64 [], fields of `resize_example`).
        canvases: as `lay_on_canvas` takes them.
        batch_size: images per batch.
        num_boxes: G; None for as many as the batch needs.

    Returns:
        A dataset of batches, see `batching`.
    """

    def batch(_, window):
        return pad_into_batches(
            window.map(_without_group), canvases, batch_size, num_boxes=num_boxes
        )

    return examples.group_by_window(_group_of, batch, batch_size)


def pad_by_groups(
    examples: tf.data.Dataset,
    canvases: tf.Tensor | int,
    batch_size: int,
    *,
    num_boxes: int | None = None,
) -> tf.data.Dataset:
    """Batches examples of the same group; what is left over makes mixed batches.

    So n images make n / batch_size batches, rounded up. Arguments and result are those
    of `group_into_batches`.
    """
    in_groups = examples.group_by_window(
        _group_of, lambda _, window: window.map(_without_group), batch_size
    )
    return pad_into_batches(in_groups, canvases, batch_size, num_boxes=num_boxes)


def pad_into_batches(
    examples: tf.data.Dataset,
    canvases: tf.Tensor | int,
    batch_size: int,
    *,
    num_boxes: int | None = None,
) -> tf.data.Dataset:
    """Batches examples in their order; see `group_into_batches`."""
    fields = examples.element_spec
    shapes = {name: list(_FIELDS[name][0]) for name in fields}
    for name in fields.keys() & OF_OBJECTS:
        shapes[name][0] = num_boxes
    if "proposals" in fields:
        for name in ("proposals", "proposal_valid"):
            shapes[name][0] = fields[name].shape[0]
    padding = {name: _FIELDS[name][1] for name in fields}

    def pad(batch):
        return batch | {"images": lay_on_canvas(batch["images"], canvases)}

    return examples.padded_batch(batch_size, shapes, padding).map(pad)


def _group_of(group, _):
    return group


def _without_group(_, fields):
    return fields
