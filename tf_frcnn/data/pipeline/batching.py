"""The tf.data pipeline: from an example set to padded batches.

A batch is a dict:

    images       float32 [B, H, W, 3]  RGB in 0..255, zero beyond the image
    image_sizes  float32 [B, 2]        (height, width) of the image in network pixels
    scales       float32 [B, 2]        network / file pixels along y and x
    file_sizes   float32 [B, 2]        (height, width) of the image in file pixels
    boxes        float32 [B, G, 4]     network pixels, zero in padded rows
    labels       int32 [B, G]          -1 in padded rows
    difficult    bool [B, G]           False in padded rows
    image_ids    string [B]
    rows         int64 [B]             place of the image in the set

where the data have crowd regions,

    crowd        bool [B, G]           False in padded rows

with cached proposals,

    proposals       float32 [B, P, 4]  network pixels, zero in padded rows
    proposal_valid  bool [B, P]        False in padded rows

and, in a worker's part of a batch,

    image_weights   float32 [b]        of the images' losses

Of an augmented image, `image_sizes` is what is seen of it, and `file_sizes` is the file
turned and cropped, before it is scaled.

G is 8, 16, 32 and so on, as the batch needs; the example set's `max_boxes` if that is
less (four times as many with mosaics). Images of one batch share a canvas, so that B is
less than the batch size where the images of a canvas are used up.
"""

import functools
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tf_frcnn.data.augmentation.applying import augment_example
from tf_frcnn.data.augmentation.mosaic import NUM_IMAGES, with_followers
from tf_frcnn.data.augmentation.plan import NO_AUGMENTATION, Augmentation
from tf_frcnn.data.decoding.resizing import Resizing
from tf_frcnn.data.examples import ExampleSet
from tf_frcnn.data.pipeline.balancing import Balance
from tf_frcnn.data.pipeline.canvases import (
    canvas_groups,
    listed_canvases,
    network_sizes,
)
from tf_frcnn.data.pipeline.epochs import (
    augment_seed_of,
    balance_seed_of,
    draw_short_side,
    seed_of_epoch,
)
from tf_frcnn.data.pipeline.grouping import (
    group_into_batches,
    pad_by_groups,
    resize_example,
)
from tf_frcnn.data.pipeline.own_groups import in_own_group
from tf_frcnn.data.pipeline.padding import LEAST_ROWS, Batch, pad_together
from tf_frcnn.data.pipeline.pixel_cache import Item, pixel_cache
from tf_frcnn.data.pipeline.proposal_cache import CachedProposals
from tf_frcnn.data.pipeline.reading import ImageReader
from tf_frcnn.data.pipeline.record_table import record_table
from tf_frcnn.data.pipeline.replacing import Replacements
from tf_frcnn.data.pipeline.shards import Shard, described, pad_own_part


def training_batches(
    examples: ExampleSet,
    resizing: Resizing,
    *,
    batch_size: int,
    flip: bool,
    drop_difficult: bool,
    seed: int,
    start_epoch: int | tf.Variable = 0,
    proposals: CachedProposals | None = None,
    augmentation: Augmentation = NO_AUGMENTATION,
    balance: Balance | None = None,
    max_unreadable: int = 0,
    cache: str = "none",
    num_workers: int | None = None,
    shard: Shard | None = None,
) -> tf.data.Dataset:
    """Streams shuffled batches without end, epoch after epoch.

    An epoch holds every image once, or as often as the balance says: the rest of a
    group's images when the epoch ends makes a smaller batch. Order, sizes, changes and
    batching follow from the seed and the epoch's number alone, so a stream started at
    epoch k equals a longer one from epoch k on.

    Each epoch draws a new short side for every image. The drawn size does not decide
    who shares a batch: images are grouped by the canvas that they need at the largest
    short side, which depends on their shape. So, whatever is drawn, every epoch has the
    same number of batches, from which a resumed run finds its epoch. A batch then lies
    on the smallest canvas that holds its images as drawn: a single image on its own
    canvas, and no batch pays for a size that it does not have.

    Where the draws decide more (the shape of images, or which images come), images are
    grouped as they are, and what is left over of all groups makes mixed batches; so the
    number of batches is that of the images over `batch_size`, rounded up.

    Args:
        examples: the data set.
        resizing: to one of its short sides, drawn with equal probabilities.
        batch_size: images per batch.
        flip: mirrors every image with probability 0.5.
        drop_difficult: leaves out the boxes marked difficult, but no crowd.
        seed: decides order, sizes, mirroring and all other changes.
        start_epoch: number of the first epoch; a variable is read when an iterator is
            made.
        proposals: a row for each record of `examples`, resized and mirrored with its
            image; or None. A copy is held in memory: 0.5 GB for 2000 proposals of each
            of VOC's 16,551 images of 2007 and 2012.
        augmentation: other random changes.
        balance: how often each image comes; None for once.
        max_unreadable: number of images that may vanish or break from now on; the next
            one that can be read takes the place of each, see `replacing`.
        cache: "memory" or "disk" for images that are decoded once, and resized once
            where nothing random comes before; the batches are those of "none".
        num_workers: images, and batches, that are prepared side by side; None lets
            tf.data choose.
        shard: of a worker that prepares no more than its part of each batch; None for
            whole batches. Nothing may change before images have the network's size, see
            `Augmentation.begins_resized`.

    Returns:
        An infinite dataset of batches; `num_batches` make an epoch.

    Source: Girshick 2015, section 2.4 (scales); Ren et al. 2015, section 3.2 (training
        on proposals that stay as they are).
    """
    table = record_table(
        examples, resizing, drop_difficult=drop_difficult, proposals=proposals
    )
    replacements = Replacements(examples, table.groups.numpy(), max_unreadable)
    num_images = len(examples.records) if balance is None else balance.num_images
    is_resized = augmentation.begins_resized and len(resizing.short_sides) == 1
    kept = pixel_cache(examples, resizing, cache, resized=is_resized)
    reader = ImageReader(table, replacements, kept)
    is_drawn = _groups_are_drawn(augmentation, balance)

    @tf.autograph.experimental.do_not_convert
    def epoch_batches(epoch):
        epoch_seed = seed_of_epoch(seed, epoch)

        def prepare(place: tf.Tensor, item: Item) -> Batch:
            return augment_example(
                lambda k: reader.read(_item(item, k)),
                resizing,
                augmentation,
                short_side=draw_short_side(resizing, epoch_seed, place),
                flip_seed=[epoch_seed, 1 + place] if flip else None,
                seed=augment_seed_of(epoch_seed, place),
                resized=(lambda: reader.read_resized(item, resizing))
                if is_resized
                else None,
            )

        def grouped(place: tf.Tensor, item: Item) -> tuple[tf.Tensor, Batch]:
            if shard is not None:
                side = draw_short_side(resizing, epoch_seed, place)
                return described(
                    place, item, table, resizing, side, by_own_size=is_drawn
                )
            if is_drawn:
                return in_own_group(prepare(place, item), resizing.canvases)
            index, _ = _item(item, 0)
            return table.groups[index], prepare(place, item)

        counts = balance and balance.counts(balance_seed_of(epoch_seed))
        images = examples.stream(
            epoch_seed, counts, tolerant=True, unread=shard is not None
        )
        if augmentation.mosaic:
            images = with_followers(images, num_images)
        examples_in_groups = images.enumerate().map(
            grouped,
            num_parallel_calls=num_workers or tf.data.AUTOTUNE,
            deterministic=True,
        )
        num_boxes = _num_boxes(examples, augmentation)
        into_batches = pad_by_groups if is_drawn else group_into_batches
        return into_batches(
            examples_in_groups,
            resizing.canvases if is_drawn else table.canvases,
            batch_size,
            num_boxes=num_boxes,
            num_workers=num_workers,
            pad=_pad(shard, examples, prepare),
        )

    def epochs_from(_):
        start = tf.cast(tf.convert_to_tensor(start_epoch), tf.int64)
        return tf.data.Dataset.counter(start)

    epochs = tf.data.Dataset.from_tensors(0).flat_map(epochs_from)
    return epochs.flat_map(epoch_batches).prefetch(tf.data.AUTOTUNE)


def evaluation_batches(
    examples: ExampleSet,
    resizing: Resizing,
    *,
    batch_size: int,
    proposals: CachedProposals | None = None,
    shard: Shard | None = None,
) -> tf.data.Dataset:
    """Streams every image exactly once, unmirrored, always in the same order.

    Images are grouped by canvas, so the order is not that of `examples`; use
    `image_ids`. The arguments are those of `training_batches`, with one short side.

    Returns:
        A finite dataset of `num_batches` batches.

    Raises:
        ValueError: the resizing does not have exactly one short side.
    """
    resizing.require_one_short_side()
    table = record_table(examples, resizing, proposals=proposals)
    reader = ImageReader(table, Replacements(examples, table.groups.numpy(), None))

    def prepare(_, item: Item) -> Batch:
        return resize_example(reader.read(item), resizing)

    @tf.autograph.experimental.do_not_convert
    def grouped(place: tf.Tensor, item: Item) -> tuple[tf.Tensor, Batch]:
        if shard is not None:
            return described(place, item, table, resizing)
        return table.groups[item[0]], prepare(place, item)

    examples_in_groups = (
        examples.stream(tolerant=True, unread=shard is not None)
        .enumerate()
        .map(grouped, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    )
    batches = group_into_batches(
        examples_in_groups,
        table.canvases,
        batch_size,
        num_boxes=_num_boxes(examples, NO_AUGMENTATION),
        pad=_pad(shard, examples, prepare),
    )
    count = num_batches(examples, resizing, batch_size=batch_size)
    batches = batches.apply(tf.data.experimental.assert_cardinality(count))
    return batches.prefetch(tf.data.AUTOTUNE)


def num_batches(
    examples: ExampleSet,
    resizing: Resizing,
    *,
    batch_size: int,
    augmentation: Augmentation = NO_AUGMENTATION,
    balance: Balance | None = None,
) -> int:
    """Returns the number of batches per epoch; arguments as in `training_batches`."""
    if _groups_are_drawn(augmentation, balance):
        count = len(examples.records) if balance is None else balance.num_images
        return -(-count // batch_size)
    sizes = network_sizes(examples.records, resizing)
    canvases = listed_canvases(sizes, resizing.canvases)
    groups = canvas_groups(examples.records, sizes, canvases)
    return int(np.sum(-(-np.bincount(groups) // batch_size)))


def _groups_are_drawn(augmentation: Augmentation, balance: Balance | None) -> bool:
    """Returns whether the number of images in a group differs between epochs."""
    return augmentation.changes_shape or balance is not None


def _num_boxes(examples: ExampleSet, augmentation: Augmentation) -> int | None:
    """Returns G if it is small; None for what each batch needs."""
    # A balanced epoch may have the same image four times in a row.
    most = examples.max_boxes * (NUM_IMAGES if augmentation.mosaic else 1)
    is_small = augmentation.function is None and most <= LEAST_ROWS
    return most if is_small else None


def _pad(
    shard: Shard | None, examples: ExampleSet, prepare: Callable[..., Batch]
) -> Callable[..., Batch]:
    if shard is None:
        return pad_together
    read = examples.images.read
    return functools.partial(pad_own_part, shard=shard, read=read, prepare=prepare)


def _item(item, k: int):
    """Returns the index and bytes of the k-th image, where there are several."""
    index, encoded = item
    return (index[k], encoded[k]) if index.shape.rank else item
