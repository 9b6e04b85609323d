"""The tf.data pipeline: from an example set to padded batches.

A batch is a dict:

    images       float32 [B, H, W, 3]  RGB in 0..255, zero beyond the picture
    image_sizes  float32 [B, 2]        (height, width) of the picture in network pixels
    scales       float32 [B, 2]        network / file pixels along y and x
    boxes        float32 [B, G, 4]     network pixels, zero in padded rows
    labels       int32 [B, G]          -1 in padded rows
    difficult    bool [B, G]           False in padded rows
    image_ids    string [B]

G is the example set's `max_boxes`. Images of one batch share a canvas, so that B is
less than the batch size where a canvas' images are used up.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_frcnn.data.examples import ExampleSet, Record
from tf_frcnn.data.problems import DataError
from tf_frcnn.data.transforms import decode_image, flip, resize, resized_size

Canvas = tuple[int, int]
Batch = dict[str, tf.Tensor]


class _Table(NamedTuple):
    """All records as tensors, one row each; captured by the pipeline's functions."""

    image_ids: tf.Tensor
    orientations: tf.Tensor
    sizes: tf.Tensor  # int64 [n, 2], network pixels
    canvases: tf.Tensor  # int64 [n, 2]
    groups: tf.Tensor  # int64 [n], which canvas
    boxes: tf.RaggedTensor
    labels: tf.RaggedTensor
    difficult: tf.RaggedTensor


def derive_canvases(
    short_side: int, long_side: int, multiple: int = 32
) -> tuple[Canvas, ...]:
    """Returns the few canvases on which resized pictures are laid.

    They are a square, 4:3 and the longest allowed, the latter two both upright and
    lying.

    Args:
        short_side, long_side: the limits of `resized_size`, in pixels.
        multiple: sides are rounded up to a multiple of this.

    Returns:
        (height, width) of each, smallest area first.
    """
    longer_sides = (short_side, min(-(-short_side * 4 // 3), long_side), long_side)
    up = [-(-side // multiple) * multiple for side in (short_side, *longer_sides)]
    canvases = {(up[0], side) for side in up[1:]} | {(side, up[0]) for side in up[1:]}
    return tuple(sorted(canvases, key=lambda canvas: (canvas[0] * canvas[1], canvas)))


def training_batches(
    examples: ExampleSet,
    *,
    short_side: int,
    long_side: int,
    canvases: Sequence[Canvas],
    batch_size: int,
    flip: bool,
    drop_difficult: bool,
    seed: int,
    start_epoch: int = 0,
) -> tf.data.Dataset:
    """Streams shuffled batches without end, epoch after epoch.

    An epoch holds every image once: what is left of a canvas' images when the epoch
    ends makes a smaller batch. Order, mirroring and batching follow from the seed and
    the epoch's number alone, so a stream started at epoch k gives what a longer one
    gives from epoch k on.

    Args:
        examples: the data set.
        short_side, long_side: see `resized_size`.
        canvases: (height, width) in pixels; each picture gets the smallest that holds
            it. See `derive_canvases`.
        batch_size: images per batch.
        flip: mirrors every image with probability 0.5.
        drop_difficult: leaves out the boxes marked difficult.
        seed: decides order and mirroring.
        start_epoch: number of the first epoch.

    Returns:
        An infinite dataset of batches; `num_batches` make an epoch.
    """
    table = _record_table(examples, short_side, long_side, canvases, drop_difficult)

    def epoch_batches(epoch):
        epoch_seed = tf.random.stateless_uniform(
            [], [seed, epoch], minval=None, maxval=None, dtype=tf.int64, alg="philox"
        )
        stream = examples.stream(epoch_seed).enumerate()
        prepared = stream.map(
            lambda position, item: _prepare(
                *item, table, [epoch_seed, position + 1] if flip else None
            ),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        return _grouped(prepared, examples.max_boxes, batch_size)

    epochs = tf.data.Dataset.counter(tf.constant(start_epoch, tf.int64))
    return epochs.flat_map(epoch_batches).prefetch(tf.data.AUTOTUNE)


def evaluation_batches(
    examples: ExampleSet,
    *,
    short_side: int,
    long_side: int,
    canvases: Sequence[Canvas],
    batch_size: int,
) -> tf.data.Dataset:
    """Gives every image exactly once, unmirrored, always in the same order.

    Images are grouped by canvas, so the order is not that of `examples`; use
    `image_ids`. Arguments as in `training_batches`.

    Returns:
        A finite dataset of `num_batches` batches.
    """
    table = _record_table(examples, short_side, long_side, canvases, False)
    prepared = examples.stream().map(
        lambda index, image: _prepare(index, image, table, None),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    batches = _grouped(prepared, examples.max_boxes, batch_size)
    count = num_batches(
        examples,
        short_side=short_side,
        long_side=long_side,
        canvases=canvases,
        batch_size=batch_size,
    )
    batches = batches.apply(tf.data.experimental.assert_cardinality(count))
    return batches.prefetch(tf.data.AUTOTUNE)


def num_batches(
    examples: ExampleSet,
    *,
    short_side: int,
    long_side: int,
    canvases: Sequence[Canvas],
    batch_size: int,
) -> int:
    """Returns the batches of one epoch; arguments as in `training_batches`."""
    sizes = _network_sizes(examples.records, short_side, long_side)
    groups = _smallest_canvas(examples.records, sizes, canvases)
    return int(np.sum(-(-np.bincount(groups) // batch_size)))


def _prepare(index, image_bytes, table: _Table, flip_seed) -> tuple[tf.Tensor, Batch]:
    """Returns the canvas' number and one example of a batch, boxes not yet padded."""
    image = decode_image(image_bytes, table.orientations[index])
    image, boxes, scales = resize(image, table.boxes[index], table.sizes[index])
    if flip_seed is not None:
        draw = tf.random.stateless_uniform([], flip_seed, alg="philox")
        image, boxes = tf.cond(
            draw < 0.5, lambda: flip(image, boxes), lambda: (image, boxes)
        )
    height, width = tf.unstack(table.canvases[index] - table.sizes[index])
    return table.groups[index], {
        "images": tf.pad(image, [[0, height], [0, width], [0, 0]]),
        "image_sizes": tf.cast(table.sizes[index], tf.float32),
        "scales": scales,
        "boxes": boxes,
        "labels": table.labels[index],
        "difficult": table.difficult[index],
        "image_ids": table.image_ids[index],
    }


def _grouped(prepared: tf.data.Dataset, num_boxes: int, batch_size: int):
    """Batches examples of the same canvas; what is left over comes last."""
    shapes = {
        "images": [None, None, 3],
        "image_sizes": [2],
        "scales": [2],
        "boxes": [num_boxes, 4],
        "labels": [num_boxes],
        "difficult": [num_boxes],
        "image_ids": [],
    }
    padding = {"labels": -1, "difficult": False, "image_ids": ""}
    padding = {key: padding.get(key, 0.0) for key in shapes}

    def batch(_, window):
        examples = window.map(lambda _, example: example)
        return examples.padded_batch(batch_size, shapes, padding)

    return prepared.group_by_window(lambda group, _: group, batch, batch_size)


def _record_table(
    examples: ExampleSet,
    short_side: int,
    long_side: int,
    canvases: Sequence[Canvas],
    drop_difficult: bool,
) -> _Table:
    records = examples.records
    used = [~r.difficult if drop_difficult else slice(None) for r in records]
    sizes = _network_sizes(records, short_side, long_side)
    groups = _smallest_canvas(records, sizes, canvases)

    def ragged(field):
        rows = [getattr(r, field)[keep] for r, keep in zip(records, used, strict=True)]
        return tf.RaggedTensor.from_row_lengths(
            np.concatenate(rows), [len(row) for row in rows]
        )

    return _Table(
        image_ids=tf.constant([r.image_id for r in records]),
        orientations=tf.constant([r.orientation for r in records], tf.int32),
        sizes=tf.constant(sizes),
        canvases=tf.gather(tf.constant(canvases, tf.int64), groups),
        groups=tf.constant(groups),
        boxes=ragged("boxes"),
        labels=ragged("labels"),
        difficult=ragged("difficult"),
    )


def _network_sizes(
    records: Sequence[Record], short_side: int, long_side: int
) -> np.ndarray:
    """Returns int64 [n, 2]: (height, width) of each picture in network pixels."""
    file_sizes = np.array([(r.height, r.width) for r in records], np.int64)
    return np.stack(resized_size(*file_sizes.T, short_side, long_side), axis=1)


def _smallest_canvas(
    records: Sequence[Record], sizes: np.ndarray, canvases: Sequence[Canvas]
) -> np.ndarray:
    """Returns int64 [n]: the row of the smallest canvas that holds each picture."""
    canvas_sizes = np.array(canvases, np.int64).reshape(-1, 2)
    fits = (sizes[:, None] <= canvas_sizes).all(axis=2)  # [n, canvases]
    if not fits.any(axis=1).all():
        row = int(np.argmin(fits.any(axis=1)))
        raise DataError(
            f"canvases: {records[row].source} becomes {sizes[row, 0]} x "
            f"{sizes[row, 1]} pixels (height x width), but none of {tuple(canvases)} "
            "holds it; add a larger canvas or leave the list empty."
        )
    areas = np.where(fits, canvas_sizes.prod(axis=1), np.iinfo(np.int64).max)
    return areas.argmin(axis=1)
