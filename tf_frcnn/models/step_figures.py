"""What a training step can tell of itself, from what it has computed anyway.

The parts of a detector note figures while it computes its losses; where nobody collects
them, as in validation, they are not computed. No figure has a part in the losses.
"""

import contextlib
import contextvars
from collections.abc import Callable, Iterator

import tensorflow as tf

from tf_frcnn.models.batch import Batch
from tf_frcnn.models.replicas import num_replicas
from tf_frcnn.ops.boxes import pairwise_iou
from tf_frcnn.structures import Proposals

Figures = dict[str, tf.Tensor]
# IoU from which a proposal covers an object.
_COVERING_IOU = 0.5

_noted: contextvars.ContextVar[Figures | None] = contextvars.ContextVar(
    "figures", default=None
)


@contextlib.contextmanager
def collected() -> Iterator[Figures]:
    """Gives the figures that are noted within; of each device its own."""
    figures: Figures = {}
    token = _noted.set(figures)
    try:
        yield figures
    finally:
        _noted.reset(token)


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Has what is noted within not collected."""
    token = _noted.set(None)
    try:
        yield
    finally:
        _noted.reset(token)


def note(compute: Callable[[], Figures]) -> None:
    """Notes float32 figures, means over the images, if they are collected."""
    figures = _noted.get()
    if figures is not None:
        figures |= compute()


def num_images(batch: Batch) -> Figures:
    """Returns `images`, the number in the batch of all devices together."""
    images = tf.ones(tf.shape(batch["images"])[0])
    if "image_weights" in batch:
        images = tf.cast(batch["image_weights"] > 0.0, tf.float32)
    return {"images": num_replicas() * tf.reduce_sum(images)}


def positive_anchors(labels: tf.Tensor, weights: tf.Tensor | None) -> Figures:
    """Returns `positive_anchors`, the sampled ones that have to find an object.

    Args:
        labels: int32 [B, N] of `AnchorTargets`.
        weights: float32 [B] of the images; None for 1.
    """
    return {"positive_anchors": _mean(_count(labels == 1), weights)}


def foreground_rois(
    labels: tf.Tensor, num_classes: int, weights: tf.Tensor | None
) -> Figures:
    """Returns `class_rois`, float32 [K], the RoIs that learn each class.

    Args:
        labels: int32 [B, R] of `RoITargets`.
        num_classes: K.
        weights: float32 [B] of the images; None for 1.
    """
    is_of_class = labels[..., tf.newaxis] == tf.range(1, num_classes + 1)
    return {"class_rois": _mean(_count(is_of_class), weights)}


def covered_objects(
    proposals: Proposals, boxes: tf.Tensor, batch: Batch, *, plus_one: bool = False
) -> Figures:
    """Returns `objects`, and `covered_objects`, those that a proposal covers.

    Args:
        proposals: in network pixels.
        boxes: float32 [B, G, 4], of the objects, in the same.
        batch: with `labels`, and perhaps `crowd`.
        plus_one: corners are inclusive pixels.
    """
    is_object = batch["labels"] >= 0
    if "crowd" in batch:
        is_object &= ~batch["crowd"]
    iou = pairwise_iou(proposals.boxes, boxes, plus_one=plus_one)
    covers = (iou >= _COVERING_IOU) & proposals.valid[..., tf.newaxis]
    is_covered = is_object & tf.reduce_any(covers, axis=1)
    weights = batch.get("image_weights")
    return {
        "objects": _mean(_count(is_object), weights),
        "covered_objects": _mean(_count(is_covered), weights),
    }


def _count(is_counted: tf.Tensor) -> tf.Tensor:
    """Returns float32 [B, ...] of bool [B, N, ...]."""
    return tf.reduce_sum(tf.cast(is_counted, tf.float32), axis=1)


def _mean(counts: tf.Tensor, weights: tf.Tensor | None) -> tf.Tensor:
    """Returns the mean over images, float32 [...] of [B, ...]."""
    if weights is None:
        return tf.reduce_mean(counts, axis=0)
    return tf.tensordot(weights, counts, 1) / tf.cast(tf.size(weights), tf.float32)
