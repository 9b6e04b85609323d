"""Faster R-CNN (Ren et al. 2015) as a Keras model."""

import keras
import tensorflow as tf

from tf_frcnn.models.batch import Batch, canvas_size, with_defaults
from tf_frcnn.models.detector import Detector
from tf_frcnn.models.roi_head import RoIHead
from tf_frcnn.models.rpn import RegionProposalNetwork
from tf_frcnn.models.seeds import Turn, seeds_of


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
        canvas = canvas_size(batch)
        features = self.features(batch)
        rpn = self.rpn(features, batch["image_sizes"], canvas)
        proposals = self.rpn.propose(rpn, batch)
        logits, deltas = self.roi_head(features, proposals, canvas)
        return self.roi_head.detect(proposals, logits, deltas, batch)._asdict()

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
        batch, seeds = with_defaults(inputs), seeds_of(self.seed, turn)
        canvas = canvas_size(batch)
        features = self.features(batch)
        rpn = self.rpn(features, batch["image_sizes"], canvas)
        proposals = self.rpn.propose(rpn, batch, training=training)
        rois = self.roi_head.targets(features, proposals, batch, canvas, seeds.roi)
        logits, deltas = self.roi_head(
            features, rois, canvas, seed=seeds.dropout, training=training
        )
        losses = self.rpn.losses_of(rpn, batch, seeds.anchors)
        losses |= self.roi_head.losses_of(
            logits, deltas, rois, batch.get("image_weights")
        )
        return self.with_sum(losses)
