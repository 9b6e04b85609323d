"""Faster R-CNN (Ren et al. 2015) as a Keras model."""

from typing import NamedTuple

import keras
import tensorflow as tf

from tf_frcnn import layers
from tf_frcnn.models.rpn import (
    RegionProposalNetwork,
    RPNParts,
    StageLosses,
    box_scales,
    with_defaults,
)
from tf_frcnn.ops.losses import box_losses, classification_losses
from tf_frcnn.ops.roi_levels import assign_levels
from tf_frcnn.structures import Detections, Proposals, RoITargets

# Beside the RPN's salt 0; fc6 and fc7 use two.
_ROI_SALT, _DROPOUT_SALT = 1, 2
# Which of the pyramid's maps a RoI is pooled from.
LEVEL_RULES = ("size", "anchor")


class Parts(NamedTuple):
    """The layers a detector is made of, in the order of the data; see `RPNParts`."""

    normalization: layers.ImageNormalization
    backbone: keras.Model
    anchor_grid: layers.AnchorGrid
    rpn_head: layers.RPNHead
    anchor_targets: layers.AnchorTargetLayer
    proposal_layer: layers.ProposalLayer
    proposal_targets: layers.ProposalTargetLayer
    roi_pooling: layers.RoIPooling
    box_head: layers.FullyConnectedHead | layers.ConvolutionalHead | layers.TailHead
    box_predictor: layers.BoxPredictor
    detection_layer: layers.DetectionLayer

    @property
    def of_rpn(self) -> RPNParts:
        """The layers of the first stage."""
        return RPNParts(*self[: len(RPNParts._fields)])


@keras.saving.register_keras_serializable("tf_frcnn")
class FasterRCNN(RegionProposalNetwork):
    """A region proposal network and a box head that share one trunk.

    The batch is that of `RegionProposalNetwork`. Calling the model, `predict` and
    `predict_on_batch` give `Detections` as a dict, boxes in pixels of the file.

    Args:
        parts: the layers.
        class_names: of the K classes, without background.
        roi_losses: the forms of the box head's two losses.
        num_hard_rois: the box head learns from as many RoIs of the highest loss
            (online hard example mining); None takes those that are sampled.
        level_rule: with several maps, "size" pools a RoI from the map its size asks
            for, "anchor" from the map whose anchor gave it, or the coarsest.
        **kwargs: of `RegionProposalNetwork`.

    Source: Ren et al. 2015; training is the approximate joint one of section 3.2.
        Shrivastava et al. 2016 for hard examples; their suppression of overlapping
        RoIs has been done by the proposal layer. Lin et al. 2017 (feature pyramids),
        equation 1, for "size".
    """

    loss_names = (
        "loss",
        "rpn_class_loss",
        "rpn_box_loss",
        "roi_class_loss",
        "roi_box_loss",
        "decay_loss",
    )
    parts_type = Parts

    def __init__(
        self,
        parts: Parts,
        class_names: tuple[str, ...],
        *,
        roi_losses: StageLosses | None = None,
        num_hard_rois: int | None = None,
        level_rule: str = "size",
        **kwargs,
    ):
        super().__init__(parts, class_names, **kwargs)
        if level_rule not in LEVEL_RULES:
            raise ValueError(
                f"FasterRCNN: level_rule = {level_rule!r} must be one of {LEVEL_RULES}."
            )
        self.roi_losses = roi_losses or StageLosses()
        self.num_hard_rois, self.level_rule = num_hard_rois, level_rule

    def build(self, input_shape=None):
        """Creates all weights; they do not depend on the input's size."""
        super().build(input_shape)
        side, channels = self.roi_pooling.pooled_size, self._num_channels
        if not self.box_head.built:
            self.box_head.build((None, None, side, side, channels))
        if not self.box_predictor.built:
            self.box_predictor.build((None, None, self.box_head.units))

    def _use_xla(self, uses_xla):
        super()._use_xla(uses_xla)
        if hasattr(self, "roi_pooling"):
            self.roi_pooling.for_xla = uses_xla

    # The network -------------------------------------------------------------------

    def call(self, inputs, training=None):
        """Detects objects; `inputs` is a batch, or its `images` alone."""
        batch = with_defaults(inputs)
        rpn = self.first_stage(batch)
        proposals = self.propose(rpn, batch)
        logits, deltas = self.second_stage(rpn.features, proposals, batch)
        return self.detect(proposals, logits, deltas, batch)._asdict()

    def second_stage(self, features, rois, batch, seed=None, training=None):
        """Classifies RoIs.

        Args:
            features: float [B, h, w, C] of each level.
            rois: `Proposals` or `RoITargets`; boxes and levels are used.
            batch: only the size of its canvas is read.
            seed: int [2], of dropout.
            training: whether dropout is on.

        Returns:
            float32 [B, R, K + 1] logits and [B, R, sets, 4] deltas.
        """
        maps = features[: len(self.roi_pooling.strides)]
        levels, canvas_size = self._levels(rois), tf.shape(batch["images"])[1:3]
        pooled = self.roi_pooling(maps, rois.boxes, levels, canvas_size)
        hidden = self.box_head(pooled, seed=seed, training=training)
        return self.box_predictor(hidden)

    def _levels(self, rois):
        """Returns int32 [B, R], the map that each RoI is pooled from."""
        strides = self.roi_pooling.strides
        if self.level_rule == "anchor":
            return tf.minimum(rois.levels, len(strides) - 1)
        finest = strides[0].bit_length() - 1
        return assign_levels(rois.boxes, levels=(finest, finest + len(strides) - 1))

    def detect(self, proposals: Proposals, logits, deltas, batch) -> Detections:
        """Makes detections, in pixels of the file."""
        in_file = proposals._replace(boxes=proposals.boxes / box_scales(batch))
        detections = self.detection_layer(in_file, logits, deltas, batch["file_sizes"])
        if not self.plus_one:
            return detections
        last_pixel = tf.constant([0.0, 0.0, 1.0, 1.0])
        last_pixel *= tf.cast(detections.valid, tf.float32)[..., tf.newaxis]
        return detections._replace(boxes=detections.boxes + last_pixel)

    # The losses --------------------------------------------------------------------

    def compute_losses(self, inputs, step, training=False) -> dict[str, tf.Tensor]:
        """Computes the four losses, the weight decay and their sum.

        Args:
            inputs: a batch with `boxes` and `labels`.
            step: int scalar, makes the random numbers together with the seed.
            training: whether dropout is on and which proposal counts apply.

        Returns:
            float32 scalars under the names of `Detector.loss_names`.
        """
        batch = with_defaults(inputs)
        rpn = self.first_stage(batch)
        losses = self.rpn_loss_parts(rpn, batch, step)
        proposals = self.propose(rpn, batch, training=training)
        losses |= self.roi_loss_parts(rpn.features, proposals, batch, step, training)
        return self.with_sum(losses)

    def roi_loss_parts(
        self, features, proposals, batch, step, training
    ) -> dict[str, tf.Tensor]:
        """Computes `roi_class_loss` and `roi_box_loss`."""
        rois = self.proposal_targets(
            proposals,
            self.inner_boxes(batch["boxes"], batch),
            batch["labels"],
            self.random_seed(_ROI_SALT, step),
        )
        if self.num_hard_rois is not None:
            rois = self._hardest(features, rois, batch)
        seed = self.random_seed(_DROPOUT_SALT, step)
        logits, deltas = self.second_stage(features, rois, batch, seed, training)
        losses = {"roi_class_loss": self.roi_losses.of_classes(logits, rois.labels)}
        if not self.box_predictor.regresses:
            return losses | {"roi_box_loss": tf.constant(0.0)}
        deltas = self.box_predictor.deltas_of(deltas, rois.labels)
        box_loss = self.roi_losses.of_boxes(deltas, rois.deltas, rois.labels)
        return losses | {"roi_box_loss": box_loss}

    def _hardest(self, features, rois: RoITargets, batch) -> RoITargets:
        """Returns the RoIs of the highest loss, of each image."""
        logits, deltas = self.second_stage(features, rois, batch)
        deltas = self.box_predictor.deltas_of(deltas, rois.labels)
        form = self.roi_losses
        hardness = classification_losses(logits, rois.labels, focal=form.focal)
        if self.box_predictor.regresses:
            hardness += box_losses(deltas, rois.deltas, rois.labels, sigma=form.sigma)
        hardness = tf.where(rois.labels >= 0, hardness, -1.0)
        _, index = tf.math.top_k(tf.stop_gradient(hardness), self.num_hard_rois)
        return tf.nest.map_structure(
            lambda values: tf.gather(values, index, batch_dims=1), rois
        )

    # Saving --------------------------------------------------------------------------

    def get_config(self):
        """Returns the constructor's arguments; layers as their own configurations."""
        return super().get_config() | {
            "roi_losses": self.roi_losses._asdict(),
            "num_hard_rois": self.num_hard_rois,
            "level_rule": self.level_rule,
        }


@keras.saving.register_keras_serializable("tf_frcnn")
class FastRCNN(FasterRCNN):
    """The second stage of a `FasterRCNN` alone, on proposals that the batch brings.

    The batch also has `proposals` float32 [B, P, 4], continuous corners in network
    pixels, and
    `proposal_valid` bool [B, P], False in padded rows. The RPN's weights are there but
    neither used nor learned.

    Source: Girshick 2015; steps 2 and 4 of the alternating training of Ren et al.
        2015, section 3.2.
    """

    loss_names = ("loss", "roi_class_loss", "roi_box_loss", "decay_loss")

    @property
    def trainable_variables(self):
        """The weights that are learned: all trainable ones but the RPN head's."""
        unused = {id(variable) for variable in self.rpn_head.variables}
        return [v for v in super().trainable_variables if id(v) not in unused]

    def call(self, inputs, training=None):
        """Detects objects among the proposals of a batch."""
        batch = with_defaults(inputs)
        features, proposals = self.features(batch), self._stored_proposals(batch)
        logits, deltas = self.second_stage(features, proposals, batch)
        return self.detect(proposals, logits, deltas, batch)._asdict()

    def compute_losses(self, inputs, step, training=False) -> dict[str, tf.Tensor]:
        """Computes the box head's losses, the weight decay and their sum."""
        batch = with_defaults(inputs)
        features, proposals = self.features(batch), self._stored_proposals(batch)
        losses = self.roi_loss_parts(features, proposals, batch, step, training)
        return self.with_sum(losses)

    def _stored_proposals(self, batch):
        boxes = self.inner_boxes(batch["proposals"], batch)
        valid = batch["proposal_valid"]
        boxes = tf.where(valid[..., tf.newaxis], boxes, 0.0)
        scores = tf.cast(valid, tf.float32)
        return Proposals(boxes, scores, valid, tf.zeros_like(valid, tf.int32))
