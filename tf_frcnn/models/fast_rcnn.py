"""Fast R-CNN (Girshick 2015) as a Keras model: detection on stored proposals."""

import keras
import tensorflow as tf

from tf_frcnn.models.batch import Batch, canvas_size, inner_boxes, with_defaults
from tf_frcnn.models.detector import Detector
from tf_frcnn.models.roi_head import RoIHead
from tf_frcnn.models.seeds import Turn, seeds_of
from tf_frcnn.structures import Proposals


@keras.saving.register_keras_serializable("tf_frcnn")
class FastRCNN(Detector):
    """The second stage of a `FasterRCNN`, on proposals that the batch holds.

    The batch also has `proposals` float32 [B, P, 4], continuous corners in network
    pixels, and `proposal_valid` bool [B, P], False in padded rows. The arguments are
    those of `Detector`, without an `rpn`.

    Source: Girshick 2015; steps 2 and 4 of the alternating training of Ren et al.
        2015, section 3.2.
    """

    roi_head: RoIHead
    loss_names = ("loss", "roi_class_loss", "roi_box_loss", "decay_loss")

    def call(self, inputs, training=None):
        """Detects objects among the proposals of a batch."""
        batch = with_defaults(inputs)
        features, proposals = self.features(batch), self._stored_proposals(batch)
        canvas = canvas_size(batch)
        judged = self.roi_head.judge(features, proposals, batch, canvas)
        return self.roi_head.detect(*judged, batch)._asdict()

    def compute_losses(
        self, inputs: Batch, turn: Turn | tf.Tensor | int, training: bool = False
    ) -> dict[str, tf.Tensor]:
        """Computes the RoI head's losses, the weight decay and their sum."""
        batch, seeds = with_defaults(inputs), seeds_of(self.seed, turn)
        canvas = canvas_size(batch)
        features, proposals = self.features(batch), self._stored_proposals(batch)
        return self.with_sum(
            self.roi_head.learn(
                features, proposals, batch, canvas, seeds, training=training
            )
        )

    def _stored_proposals(self, batch):
        plus_one = self.roi_head.conventions.plus_one
        boxes = inner_boxes(batch["proposals"], batch, plus_one=plus_one)
        valid = batch["proposal_valid"]
        boxes = tf.where(valid[..., tf.newaxis], boxes, 0.0)
        scores = tf.cast(valid, tf.float32)
        return Proposals(boxes, scores, valid, tf.zeros_like(valid, tf.int32))
