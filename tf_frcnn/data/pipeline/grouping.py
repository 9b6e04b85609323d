"""From single examples to batches of one canvas, whatever the data came from."""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from tf_frcnn.data.decoding.resizing import Resizing
from tf_frcnn.data.decoding.to_canvas import to_network_size
from tf_frcnn.data.decoding.transforms import flip
from tf_frcnn.data.pipeline.packing import packed
from tf_frcnn.data.pipeline.padding import OF_OBJECTS, Batch, pad_together


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
    image = sides.pop("images")
    return with_resized(example, image, sides)


def with_resized(example: Example, image: tf.Tensor, sides: Batch) -> Example:
    """Returns an example of the file's pixels, in those of its resized image.

    Args:
        example: its image is not read.
        image: float32 [h', w', 3].
        sides: float32 [2] each, `image_sizes`, `scales` and `file_sizes`.
    """
    scales = tf.tile(sides["scales"], [2])
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
    num_workers: int | None = None,
    pad: Callable[..., Batch] = pad_together,
) -> tf.data.Dataset:
    """Batches examples of the same group; what is left over comes last.

    Args:
        examples: of (group int64 [], fields of `resize_example`).
        canvases: as `lay_on_canvas` takes them.
        batch_size: images per batch.
        num_boxes: G; None for a `padded_number` of what the batch needs.
        num_workers: batches that are made side by side; None lets tf.data choose.
        pad: makes a batch of what `pad_together` is given.

    Returns:
        A dataset of batches, see `batching`.
    """
    windows = examples.map(_packed).group_by_window(
        _group_of, lambda _, window: window.batch(batch_size), batch_size
    )
    return _padded(windows, examples, canvases, num_boxes, num_workers, pad)


def pad_by_groups(
    examples: tf.data.Dataset,
    canvases: tf.Tensor | int,
    batch_size: int,
    *,
    num_boxes: int | None = None,
    num_workers: int | None = None,
    pad: Callable[..., Batch] = pad_together,
) -> tf.data.Dataset:
    """Batches examples of the same group; what is left over makes mixed batches.

    So n images make n / batch_size batches, rounded up. Arguments and result are those
    of `group_into_batches`.
    """
    in_groups = examples.map(_packed).group_by_window(
        _group_of, lambda _, window: window, batch_size
    )
    windows = in_groups.batch(batch_size)
    return _padded(windows, examples, canvases, num_boxes, num_workers, pad)


def _padded(windows, examples, canvases, num_boxes, num_workers, pad):
    """Returns the batches of what was packed and brought together, in its order.

    Only references have passed the one thread that groups.
    """
    _, spec = examples.element_spec

    @tf.autograph.experimental.do_not_convert
    def padded(_, packs, sizes):
        return pad(packs, sizes, spec, canvases, num_boxes)

    return windows.map(
        padded,
        num_parallel_calls=num_workers or tf.data.AUTOTUNE,
        deterministic=True,
    )


def _packed(group, fields):
    return group, packed(fields), fields["image_sizes"]


def _group_of(group, *_):
    return group
