"""The two losses of a stage, in the forms that its settings name."""

import functools
from collections.abc import Callable
from typing import Literal

import tensorflow as tf

from tf_frcnn.config import LossSettings
from tf_frcnn.ops.losses import (
    box_loss,
    box_losses,
    classification_loss,
    classification_losses,
)

ClassLosses = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def _cross_entropy(loss: LossSettings) -> ClassLosses:
    return classification_losses


def _focal(loss: LossSettings) -> ClassLosses:
    focal = (loss.focal_alpha, loss.focal_gamma)
    return functools.partial(classification_losses, focal=focal)


# Each takes `LossSettings` and returns `losses(logits, labels)`, float32 [B, N] of
# logits float32 [B, N, V] and labels int32 [B, N]; 0 in rows labelled -1.
CLASS_LOSSES: dict[str, Callable[[LossSettings], ClassLosses]] = {
    "cross_entropy": _cross_entropy,
    "focal": _focal,
}


class StageLosses:
    """The class loss and the box loss of one stage.

    Args:
        loss: `LossSettings`.
        stage: "rpn" or "roi", whose settings count.
    """

    def __init__(self, loss: LossSettings, stage: Literal["rpn", "roi"]):
        form = getattr(loss, f"{stage}_classes")
        if form not in CLASS_LOSSES:
            raise ValueError(
                f"loss.{stage}_classes = {form!r} must be one of "
                f"{', '.join(CLASS_LOSSES)}."
            )
        self.class_losses = CLASS_LOSSES[form](loss)
        self.sigma = getattr(loss, f"{stage}_sigma")
        self.divisor = getattr(loss, f"{stage}_divisor")

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
    ) -> tf.Tensor:
        """Computes the box loss, float32 []; weights [B] of images."""
        settings = {"sigma": self.sigma, "divisor": self.divisor}
        return box_loss(deltas, targets, labels, weights, **settings)

    def of_rows(
        self,
        logits: tf.Tensor,
        deltas: tf.Tensor | None,
        targets: tf.Tensor,
        labels: tf.Tensor,
    ) -> tf.Tensor:
        """Sums both losses of every row, float32 [B, N]; without deltas one loss."""
        losses = self.class_losses(logits, labels)
        if deltas is not None:
            losses += box_losses(deltas, targets, labels, sigma=self.sigma)
        return losses
