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

and, with cached proposals,

    proposals       float32 [B, P, 4]  network pixels, zero in padded rows
    proposal_valid  bool [B, P]        False in padded rows

G is the example set's `max_boxes`. Images of one batch share a canvas, so that B is
less than the batch size where the images of a canvas are used up.
"""

import numpy as np
import tensorflow as tf

from tf_frcnn.data.decoding.resizing import Resizing
from tf_frcnn.data.decoding.transforms import decode_image
from tf_frcnn.data.examples import ExampleSet
from tf_frcnn.data.pipeline.canvases import (
    canvas_groups,
    listed_canvases,
    network_sizes,
)
from tf_frcnn.data.pipeline.grouping import (
    Batch,
    Example,
    group_into_batches,
    resize_example,
)
from tf_frcnn.data.pipeline.proposal_cache import CachedProposals
from tf_frcnn.data.pipeline.record_table import RecordTable, record_table


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
) -> tf.data.Dataset:
    """Streams shuffled batches without end, epoch after epoch.

    An epoch holds every image once: the rest of a group's images when the epoch ends
    makes a smaller batch. Order, sizes, mirroring and batching follow from the seed and
    the epoch's number alone, so a stream started at epoch k equals a longer one from
    epoch k on.

    Each epoch draws a new short side for every image. The drawn size does not decide
    who shares a batch: images are grouped by the canvas that they need at the largest
    short side, which depends on their shape. So, whatever is drawn, every epoch has the
    same number of batches, from which a resumed run finds its epoch. A batch then lies
    on the smallest canvas that holds its images as drawn: a single image on its own
    canvas, and no batch pays for a size that it does not have.

    Args:
        examples: the data set.
        resizing: to one of its short sides, drawn with equal probabilities.
        batch_size: images per batch.
        flip: mirrors every image with probability 0.5.
        drop_difficult: leaves out the boxes marked difficult, but no crowd.
        seed: decides order, sizes and mirroring.
        start_epoch: number of the first epoch; a variable is read when an iterator is
            made.
        proposals: a row for each record of `examples`, resized and mirrored with its
            image; or None. A copy is held in memory: 0.5 GB for 2000 proposals of each
            of VOC's 16,551 images of 2007 and 2012.

    Returns:
        An infinite dataset of batches; `num_batches` make an epoch.

    Source: Girshick 2015, section 2.4 (scales); Ren et al. 2015, section 3.2 (training
        on proposals that stay as they are).
    """
    table = record_table(
        examples, resizing, drop_difficult=drop_difficult, proposals=proposals
    )
    short_sides = tf.constant(resizing.short_sides, tf.int64)

    def epoch_batches(epoch):
        epoch_seed = tf.random.stateless_uniform(
            [], [seed, epoch], minval=None, maxval=None, dtype=tf.int64, alg="philox"
        )

        def prepare(position: tf.Tensor, item: tuple[tf.Tensor, tf.Tensor]):
            # The order is drawn from [epoch_seed, 0].
            side = tf.random.stateless_uniform(
                [],
                [epoch_seed, -1 - position],
                maxval=len(resizing.short_sides),
                dtype=tf.int64,
                alg="philox",
            )
            flip_seed = [epoch_seed, 1 + position] if flip else None
            return _prepare(*item, table, resizing, short_sides[side], flip_seed)

        prepared = (
            examples.stream(epoch_seed)
            .enumerate()
            .map(prepare, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        )
        return group_into_batches(
            prepared, table.canvases, batch_size, num_boxes=examples.max_boxes
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
    prepared = examples.stream().map(
        lambda index, image: _prepare(index, image, table, resizing),
        num_parallel_calls=tf.data.AUTOTUNE,
        deterministic=True,
    )
    batches = group_into_batches(
        prepared, table.canvases, batch_size, num_boxes=examples.max_boxes
    )
    count = num_batches(examples, resizing, batch_size=batch_size)
    batches = batches.apply(tf.data.experimental.assert_cardinality(count))
    return batches.prefetch(tf.data.AUTOTUNE)


def num_batches(examples: ExampleSet, resizing: Resizing, *, batch_size: int) -> int:
    """Returns the number of batches per epoch; arguments as in `training_batches`."""
    sizes = network_sizes(examples.records, resizing)
    canvases = listed_canvases(sizes, resizing.canvases)
    groups = canvas_groups(examples.records, sizes, canvases)
    return int(np.sum(-(-np.bincount(groups) // batch_size)))


def _prepare(
    index, image_bytes, table: RecordTable, resizing, short_side=None, flip_seed=None
) -> tuple[tf.Tensor, Batch]:
    """Returns the group and one example of a batch, image and boxes not yet padded."""
    fields = {
        "labels": table.labels[index],
        "difficult": table.difficult[index],
        "image_ids": table.image_ids[index],
        "rows": index,
    }
    if table.crowd is not None:
        fields["crowd"] = table.crowd[index]
    if table.proposals is not None:
        fields["proposals"] = table.proposals.boxes[index]
        fields["proposal_valid"] = table.proposals.valid[index]
    example = Example(
        decode_image(image_bytes, table.orientations[index]), table.boxes[index], fields
    )
    resized = resize_example(
        example, resizing, short_side=short_side, flip_seed=flip_seed
    )
    return table.groups[index], resized
