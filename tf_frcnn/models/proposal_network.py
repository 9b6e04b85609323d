"""A region proposal network alone, as a Keras model."""

import keras
import tensorflow as tf

from tf_frcnn.models.batch import Batch, canvas_size, with_defaults
from tf_frcnn.models.detector import Detector
from tf_frcnn.models.rpn import RegionProposalNetwork
from tf_frcnn.models.seeds import Turn, seeds_of


@keras.saving.register_keras_serializable("tf_frcnn")
class ProposalNetwork(Detector):
    """The first stage of a `FasterRCNN`: a backbone and an RPN.

    Calling the model, `predict` and `predict_on_batch` return `Proposals` as a dict,
    boxes in pixels of the file. The arguments are those of `Detector`, without a
    `roi_head`.

    Source: Ren et al. 2015, section 3.1.
    """

    rpn: RegionProposalNetwork
    loss_names = ("loss", "rpn_class_loss", "rpn_box_loss", "decay_loss")

    def call(self, inputs, training=None):
        """Proposes boxes; `inputs` is a batch, or its `images` alone."""
        return self.propose(inputs, training=False)._asdict()

    def compute_losses(
        self, inputs: Batch, turn: Turn | tf.Tensor | int, training: bool = False
    ) -> dict[str, tf.Tensor]:
        """Computes the RPN's losses, the weight decay and their sum; as `FasterRCNN`.

        The RPN computes the same in training and in inference.
        """
        batch = with_defaults(inputs)
        rpn = self.rpn(self.features(batch), batch["image_sizes"], canvas_size(batch))
        seed = seeds_of(self.seed, turn).anchors
        return self.with_sum(self.rpn.losses_of(rpn, batch, seed))
