"""Faster R-CNN (Ren et al. 2015) as a Keras model."""

from typing import NamedTuple

import keras
import tensorflow as tf

from tf_frcnn.models.batch import Batch, canvas_size, with_defaults
from tf_frcnn.models.detector import Detector
from tf_frcnn.models.roi_head import RoIHead
from tf_frcnn.models.rpn import RegionProposalNetwork, RPNState
from tf_frcnn.models.seeds import Turn, seeds_of
from tf_frcnn.structures import Proposals


@keras.saving.register_keras_serializable("tf_frcnn")
class FasterRCNN(Detector):
    """A region proposal network and a RoI head that share one backbone.

    Calling the model, `predict` and `predict_on_batch` return `Detections` as a dict,
    boxes in pixels of the file. The arguments are those of `Detector`; it has both an
    `rpn` and a `roi_head`.

    Source: Ren et al. 2015; training is the approximate joint one of section 3.2.
    """

    rpn: RegionProposalNetwork
    roi_head: RoIHead
    loss_names = (
        "loss",
        "rpn_class_loss",
        "rpn_box_loss",
        "roi_class_loss",
        "roi_box_loss",
        "decay_loss",
    )

    def call(self, inputs, training=None):
        """Detects objects; `inputs` is a batch, or its `images` alone."""
        batch = with_defaults(inputs)
        return self._detections_after(self._first_stage(batch), batch)

    def detect_and_propose(
        self, inputs: Batch | tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], Proposals]:
        """Detects objects, and proposes as many boxes as in training, in one pass.

        Args:
            inputs: a batch, or its `images` alone.

        Returns:
            What a call and `propose` return.
        """
        batch = with_defaults(inputs)
        first = self._first_stage(batch)
        proposals = self.rpn.propose(first.rpn, batch, training=True)
        return self._detections_after(first, batch), self.rpn.in_file(proposals, batch)

    def compute_losses(
        self, inputs: Batch, turn: Turn | tf.Tensor | int, training: bool = False
    ) -> dict[str, tf.Tensor]:
        """Computes the four losses, the weight decay and their sum.

        Args:
            inputs: a batch with `boxes` and `labels`.
            turn: or the step alone, an int scalar; the random numbers follow from it
                and the seed.
            training: whether dropout is on and which proposal counts apply.

        Returns:
            float32 scalars under the names of `loss_names`.
        """
        batch = with_defaults(inputs)
        return self._losses_after(
            self._first_stage(batch, training), batch, turn, training
        )

    def validate(self, inputs: Batch, turn: Turn | tf.Tensor | int):
        """Computes the losses and detects objects in one pass; see `Detector`."""
        batch = with_defaults(inputs)
        first = self._first_stage(batch)
        return self._losses_after(first, batch, turn), self._detections_after(
            first, batch
        )

    def _first_stage(self, batch, training=False):
        canvas = canvas_size(batch)
        features = self.features(batch)
        rpn = self.rpn(features, batch["image_sizes"], canvas)
        proposals = self.rpn.propose(rpn, batch, training=training)
        return _FirstStage(features, canvas, rpn, proposals)

    def _detections_after(self, first, batch):
        features, canvas, _, proposals = first
        judged = self.roi_head.judge(features, proposals, batch, canvas)
        return self.roi_head.detect(*judged, batch)._asdict()

    def _losses_after(self, first, batch, turn, training=False):
        features, canvas, rpn, proposals = first
        seeds = seeds_of(self.seed, turn)
        losses = self.rpn.losses_of(rpn, batch, seeds.anchors)
        losses |= self.roi_head.learn(
            features, proposals, batch, canvas, seeds, training=training
        )
        return self.with_sum(losses)


class _FirstStage(NamedTuple):
    """What both stages share: the maps, the canvas, the RPN's state and proposals."""

    features: list[tf.Tensor]
    canvas: tf.Tensor
    rpn: RPNState
    proposals: Proposals
