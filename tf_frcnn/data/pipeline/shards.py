"""A worker's images of each batch, the only ones that it reads and decodes.

Images are grouped before they are read: their groups and sizes follow from the
records and the draws. A worker knows each whole batch, and prepares its part of it.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import tensorflow as tf

from tf_frcnn.data.decoding.resizing import Resizing, plan_resize
from tf_frcnn.data.pipeline.own_groups import group_of_size
from tf_frcnn.data.pipeline.packing import packed, unpacked
from tf_frcnn.data.pipeline.padding import Batch, pad_together, quick_options
from tf_frcnn.data.pipeline.pixel_cache import Item
from tf_frcnn.data.pipeline.record_table import RecordTable


class Shard(NamedTuple):
    """The place of a worker among those that divide each batch.

    Attributes:
        number: of the worker, from 0.
        total: number of workers.
        devices: of each worker.
    """

    number: int
    total: int
    devices: int

    def own(self, count: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns this worker's part of `filled_places`."""
        places, weights = (
            tf.reshape(values, [self.total, -1])[self.number]
            for values in filled_places(count, self.total * self.devices)
        )
        return places, weights


def filled_places(count: tf.Tensor, parts: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns which images make a batch that can be divided into equal parts.

    Args:
        count: int32 [], B, images of the batch.
        parts: their number.

    Returns:
        int32 [B'], all places in the batch, and perhaps some of them again.
        float32 [B'], weights: 0 for those, and B' / B for the others, so that means
            over all are those of the batch.
    """
    size = -(-count // parts) * parts
    rows = tf.range(size)
    weight = tf.cast(size, tf.float32) / tf.cast(count, tf.float32)
    return rows % count, tf.where(rows < count, weight, 0.0)


def described(
    place: tf.Tensor,
    item: Item,
    table: RecordTable,
    resizing: Resizing,
    short_side: tf.Tensor | None = None,
    *,
    by_own_size: bool = False,
) -> tuple[tf.Tensor, Batch]:
    """Returns the group of an image that is yet to be read, and what is known of it.

    Args:
        place: int64 [], of the image in the epoch.
        item: (row int64 [], string []), see `examples.ImageSource.stream`.
        table: of the records.
        resizing: of the images.
        short_side: integer [], one of the resizing's; None for its only one.
        by_own_size: whether the group is that of the image as it is resized now, as of
            `own_groups.in_own_group`, or that of the table.

    Returns:
        int64 [], the group.
        The arguments; `image_sizes` float32 [2], in network pixels; `num_objects`
            int32 [].
    """
    row, unread = item
    if short_side is None:
        (short_side,) = resizing.short_sides
    height, width = tf.unstack(table.sizes[row])
    plan = plan_resize(height, width, short_side, resizing.long_side, resizing.method)
    size = tf.cast(plan.sizes, tf.int64)
    fields = {
        "place": place,
        "row": row,
        "unread": unread,
        "image_sizes": tf.cast(size, tf.float32),
        "num_objects": tf.shape(table.labels[row])[0],
    }
    group = group_of_size(size, resizing.canvases) if by_own_size else table.groups[row]
    return group, fields


def pad_own_part(
    packs: tf.Tensor,
    image_sizes: tf.Tensor,
    spec: Mapping[str, tf.TensorSpec],
    canvases: tf.Tensor | int,
    num_boxes: int | None,
    *,
    shard: Shard,
    read: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    prepare: Callable[[tf.Tensor, Item], Batch],
) -> Batch:
    """Prepares a worker's images of a batch, and makes its part of the batch.

    Args:
        packs: variant [B], what `described` tells of each image, packed.
        image_sizes: float32 [B, 2], their (height, width).
        spec: of what was packed.
        canvases: as `pad_together` takes them.
        num_boxes: likewise.
        shard: the worker's place.
        read: see `examples.ImageSource.read`.
        prepare: returns the fields of an image at a place.

    Returns:
        The batch as all workers have it, but only those of its rows that are the
        worker's own; with `image_weights` float32 [b], see `filled_places`.
    """
    count = tf.shape(packs)[0]
    images = tf.data.Dataset.from_tensor_slices(packs)
    whole = _together(images.map(lambda pack: unpacked(pack, spec)), count)
    own, weights = shard.own(count)
    names = ("place", "row", "unread")
    items = tuple(tf.gather(whole[name], own) for name in names)
    prepared = tf.data.Dataset.from_tensor_slices(items).map(
        lambda place, row, unread: prepare(place, (row, read(row, unread))),
        num_parallel_calls=tf.size(own, tf.int64),
        deterministic=True,
    )
    packs, own_sizes = _together(
        prepared.map(lambda fields: (packed(fields), fields["image_sizes"])),
        tf.size(own),
    )
    batch = pad_together(
        packs,
        # What replaces an image may be larger.
        tf.concat([image_sizes, own_sizes], axis=0),
        prepared.element_spec,
        canvases,
        num_boxes,
        least_objects=tf.reduce_max(whole["num_objects"]),
    )
    return batch | {"image_weights": weights}


def _together(dataset, count):
    """Returns so many elements, all that there are, as one."""
    batches = dataset.batch(tf.cast(count, tf.int64)).with_options(quick_options())
    return batches.get_single_element()
