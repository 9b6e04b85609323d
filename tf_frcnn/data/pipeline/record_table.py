"""All records as tensors, in which the pipeline's functions look up an image."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_frcnn.data.checks.problems import DataError
from tf_frcnn.data.decoding.resizing import Resizing
from tf_frcnn.data.examples import ExampleSet
from tf_frcnn.data.pipeline.canvases import (
    canvas_groups,
    listed_canvases,
    network_sizes,
)
from tf_frcnn.data.pipeline.proposal_cache import CachedProposals


class RecordTable(NamedTuple):
    """One row per record; n records.

    The functions of a dataset take these tensors as inputs, not as constants of their
    graphs, whose size is limited to 2 GB; an array would become a constant.

    Attributes:
        image_ids: string [n].
        sizes: int32 [n, 2], (height, width) of the upright images in file pixels.
        orientations: int32 [n], EXIF 1..8.
        groups: int64 [n], row in `canvases`; images of a group share batches.
        canvases: int64 [canvases, 2], (height, width) in network pixels.
        boxes: float32 [n, (boxes), 4], file pixels.
        labels: int32 [n, (boxes)].
        difficult: bool [n, (boxes)].
        crowd: bool [n, (boxes)]; None where no record has a crowd.
        proposals: tensors in file pixels; None for no proposals.
    """

    image_ids: tf.Tensor
    sizes: tf.Tensor
    orientations: tf.Tensor
    groups: tf.Tensor
    canvases: tf.Tensor
    boxes: tf.RaggedTensor
    labels: tf.RaggedTensor
    difficult: tf.RaggedTensor
    crowd: tf.RaggedTensor | None
    proposals: CachedProposals | None


def record_table(
    examples: ExampleSet,
    resizing: Resizing,
    *,
    drop_difficult: bool = False,
    proposals: CachedProposals | None = None,
) -> RecordTable:
    """Returns the table of a data set, in the host's memory.

    Args:
        examples: the data set of n records.
        resizing: how its images are brought to the network's size.
        drop_difficult: leaves out the boxes marked difficult, but no crowd.
        proposals: arrays with a row for each record, or None.

    Raises:
        DataError: no canvas holds an image, or the proposals do not fit the records.
    """
    records = examples.records
    sizes = network_sizes(records, resizing)
    canvases = listed_canvases(sizes, resizing.canvases)
    used = [~r.difficult | r.crowd if drop_difficult else slice(None) for r in records]
    if proposals is not None and len(proposals.boxes) != len(records):
        raise DataError(
            f"{examples.name}: proposals for {len(proposals.boxes)} images, but the "
            f"set has {len(records)}."
        )

    def ragged(field):
        rows = [getattr(r, field)[keep] for r, keep in zip(records, used, strict=True)]
        return tf.RaggedTensor.from_row_lengths(
            np.concatenate(rows), [len(row) for row in rows]
        )

    with tf.device("CPU:0"):
        return RecordTable(
            image_ids=tf.constant([r.image_id for r in records]),
            sizes=tf.constant([(r.height, r.width) for r in records], tf.int32),
            orientations=tf.constant([r.orientation for r in records], tf.int32),
            groups=tf.constant(canvas_groups(records, sizes, canvases)),
            canvases=tf.constant(canvases, tf.int64),
            boxes=ragged("boxes"),
            labels=ragged("labels"),
            difficult=ragged("difficult"),
            crowd=ragged("crowd") if examples.has_crowds else None,
            proposals=None
            if proposals is None
            else CachedProposals(*map(tf.constant, proposals)),
        )
