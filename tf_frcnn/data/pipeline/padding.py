"""The images of a batch, side by side on one canvas; their objects in few numbers."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tf_frcnn.data.decoding.to_canvas import canvas_for
from tf_frcnn.data.pipeline.packing import unpacked

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
# G is at least this, or 8 times a power of two, unless a data set never has as many.
LEAST_ROWS = 8
_NUMBERS = tuple(LEAST_ROWS << doublings for doublings in range(28))


def padded_number(count: tf.Tensor) -> tf.Tensor:
    """Returns int32 [], 8, 16, 32, ...: the first that is not less than a number.

    So one crowded image makes few batches larger, and XLA compiles few programs.
    """
    return tf.constant(_NUMBERS)[tf.reduce_sum(tf.cast(_NUMBERS < count, tf.int32))]


def with_rows(objects: Batch, least: tf.Tensor | int = 0) -> Batch:
    """Pads the rows of objects to a `padded_number`, if G is not known or 0.

    Args:
        objects: [B, G, ...] each, those of `OF_OBJECTS` that there are.
        least: int32 [], number of rows that there are to be at least.
    """
    labels = objects["labels"]
    if labels.shape.rank and labels.shape[1]:
        return objects
    count = tf.shape(labels)[1]
    missing = padded_number(tf.maximum(count, least)) - count
    return {name: _with_more(name, v, missing) for name, v in objects.items()}


def _with_more(name, values, missing):
    shape, value = _FIELDS[name]
    sides = [[0, 0], [0, missing]] + [[0, 0]] * (len(shape) - 1)
    return tf.pad(values, sides, constant_values=value)


def pad_together(
    packs: tf.Tensor,
    image_sizes: tf.Tensor,
    spec: Mapping[str, tf.TensorSpec],
    canvases: tf.Tensor | int,
    num_boxes: int | None,
    *,
    least_objects: tf.Tensor | int = 0,
) -> Batch:
    """Makes a batch; each pixel is copied once, to its place on the canvas.

    Args:
        packs: variant [B], examples of `packing.packed`.
        image_sizes: float32 [n, 2], (height, width) of all that the canvas must hold.
        spec: of an example's fields before they were packed.
        canvases: as `canvas_for` takes them.
        num_boxes: G; None for a `padded_number` of what the batch needs.
        least_objects: int32 [], for which there is to be room then.

    Returns:
        The batch, see `batching`.
    """
    sizes = tf.cast(image_sizes, tf.int64)
    canvas = canvas_for(tf.reduce_max(sizes, axis=0), canvases)
    shapes: dict[str, Any] = {name: list(_FIELDS[name][0]) for name in spec}
    shapes["images"] = tf.concat([canvas, [3]], axis=0)
    for name in spec.keys() & OF_OBJECTS:
        shapes[name][0] = num_boxes
    for name in spec.keys() & {"proposals", "proposal_valid"}:
        shapes[name][0] = spec[name].shape[0]
    padding = {name: _FIELDS[name][1] for name in spec}
    examples = tf.data.Dataset.from_tensor_slices(packs)
    examples = examples.map(lambda pack: unpacked(pack, spec))
    count = tf.size(packs, tf.int64)
    batch = examples.padded_batch(count, shapes, padding).with_options(quick_options())
    batch = batch.get_single_element()
    objects = {name: batch[name] for name in OF_OBJECTS if name in batch}
    return batch | with_rows(objects, least_objects)


def quick_options() -> tf.data.Options:
    """Returns those of a dataset of a few elements, for which tuning does not pay."""
    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    return options
