"""The two losses of a stage, in the forms that its settings name."""

import functools
from collections.abc import Callable
from typing import Any, Literal

import tensorflow as tf

from tf_frcnn.config import LossSettings
from tf_frcnn.ops.iou_losses import ciou_losses, diou_losses, giou_losses
from tf_frcnn.ops.losses import (
    box_loss,
    box_losses,
    classification_loss,
    classification_losses,
)

ClassLosses = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
Decode = Callable[[tf.Tensor], tf.Tensor]
BoxLosses = Callable[[tf.Tensor, tf.Tensor, tf.Tensor, Decode | None], tf.Tensor]


def _cross_entropy(loss: LossSettings) -> ClassLosses:
    return functools.partial(
        classification_losses, label_smoothing=loss.label_smoothing
    )


def _focal(loss: LossSettings) -> ClassLosses:
    focal = (loss.focal_alpha, loss.focal_gamma)
    return functools.partial(classification_losses, focal=focal)


# Each takes `LossSettings` and returns `losses(logits, labels)`, float32 [B, N] of
# logits float32 [B, N, V] and labels int32 [B, N]; 0 in rows labelled -1.
CLASS_LOSSES: dict[str, Callable[[LossSettings], ClassLosses]] = {
    "cross_entropy": _cross_entropy,
    "focal": _focal,
}


def _smooth_l1(sigma: float | None) -> BoxLosses:
    def losses(deltas, targets, labels, decode):
        return box_losses(deltas, targets, labels, sigma=sigma)

    return losses


def _of_decoded(
    losses_of_boxes: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
) -> BoxLosses:
    def losses(deltas, targets, labels, decode):
        is_object = labels > 0
        # The deltas of other rows may decode to infinities; their gradient would be
        # NaN though the loss is not taken.
        boxes, gt_boxes = (
            decode(tf.where(is_object[..., tf.newaxis], values, 0.0))
            for values in (deltas, targets)
        )
        return tf.where(is_object, losses_of_boxes(boxes, gt_boxes), 0.0)

    return losses


# Each takes `LossSettings` and returns `losses(deltas, targets, labels, decode)`,
# float32 [B, N] of predicted and target deltas float32 [B, N, 4] and labels int32
# [B, N]; 0 in rows that are not objects. `decode(deltas)` gives the boxes in pixels.
BOX_LOSSES: dict[str, Callable[[LossSettings], BoxLosses]] = {
    "smooth_l1": lambda loss: _smooth_l1(loss.roi_sigma),
    "giou": lambda loss: _of_decoded(giou_losses),
    "diou": lambda loss: _of_decoded(diou_losses),
    "ciou": lambda loss: _of_decoded(ciou_losses),
}


class StageLosses:
    """The class loss and the box loss of one stage.

    Args:
        loss: `LossSettings`.
        stage: "rpn" or "roi", whose settings count. The box loss of the RPN is smooth
            L1, and its labels are not smoothed.
    """

    def __init__(self, loss: LossSettings, stage: Literal["rpn", "roi"]):
        form = getattr(loss, f"{stage}_classes")
        _check_form(CLASS_LOSSES, form, f"loss.{stage}_classes")
        if stage == "rpn":
            loss = loss.replace(label_smoothing=0.0)
        self.class_losses = CLASS_LOSSES[form](loss)
        self.sigma = getattr(loss, f"{stage}_sigma")
        self.divisor = getattr(loss, f"{stage}_divisor")
        self.box_losses, self.box_weight = _smooth_l1(self.sigma), 1.0
        if stage == "roi":
            _check_form(BOX_LOSSES, loss.roi_boxes, "loss.roi_boxes")
            self.box_losses = BOX_LOSSES[loss.roi_boxes](loss)
            self.box_weight = loss.roi_box_weight

    def of_classes(
        self, logits: tf.Tensor, labels: tf.Tensor, weights: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Computes the mean classification loss, float32 []; weights [B] of images."""
        return classification_loss(logits, labels, weights, losses=self.class_losses)

    def of_boxes(
        self,
        deltas: tf.Tensor,
        targets: tf.Tensor,
        labels: tf.Tensor,
        weights: tf.Tensor | None = None,
        decode: Decode | None = None,
    ) -> tf.Tensor:
        """Computes the box loss, float32 [].

        Args:
            deltas, targets: float32 [B, N, 4], predicted and wanted.
            labels: int32 [B, N]; above 0 object, 0 background, -1 not counted.
            weights: float32 [B], of the images; None for 1.
            decode: gives the boxes of deltas float32 [B, N, 4], in pixels; the RPN has
                none.
        """
        return self.box_weight * box_loss(
            *(deltas, targets, labels, weights),
            divisor=self.divisor,
            losses=self.box_losses,
            decode=decode,
        )

    def of_rows(
        self,
        logits: tf.Tensor,
        deltas: tf.Tensor | None,
        targets: tf.Tensor,
        labels: tf.Tensor,
        decode: Decode | None = None,
    ) -> tf.Tensor:
        """Sums both losses of every row, float32 [B, N]; without deltas one loss."""
        losses = self.class_losses(logits, labels)
        if deltas is not None:
            box_losses = self.box_losses(deltas, targets, labels, decode)
            losses += self.box_weight * box_losses
        return losses


def _check_form(registry: dict[str, Any], form: str, path: str) -> None:
    if form not in registry:
        raise ValueError(f"{path} = {form!r} must be one of {', '.join(registry)}.")
