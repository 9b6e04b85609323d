"""The region proposal network (Ren et al. 2015, section 3.1)."""

from collections.abc import Sequence
from typing import NamedTuple

import keras
import tensorflow as tf

from tf_frcnn.config import (
    AnchorSettings,
    Conventions,
    LossSettings,
    ProposalSettings,
    RPNSettings,
    settings_config,
)
from tf_frcnn.layers import AnchorGrid, AnchorTargetLayer, ProposalLayer, RPNHead
from tf_frcnn.layers.rpn_head import RPNMaps
from tf_frcnn.models.batch import (
    Batch,
    canvas_size,
    in_file,
    inner_boxes,
    with_last_pixel,
)
from tf_frcnn.models.stage_losses import StageLosses
from tf_frcnn.models.step_figures import note, positive_anchors
from tf_frcnn.ops.rpn_scores import reshape_to_two_channels
from tf_frcnn.structures import Anchors, Proposals, RPNOutputs


class RPNState(NamedTuple):
    """The RPN's outputs, for its losses and its proposals.

    Attributes:
        anchors: of all levels.
        maps: the head's outputs, per level.
        outputs: the same, anchor by anchor.
    """

    anchors: Anchors
    maps: list[RPNMaps]
    outputs: RPNOutputs


@keras.saving.register_keras_serializable("tf_frcnn")
class RegionProposalNetwork(keras.layers.Layer):
    """Proposes boxes of objects, whatever their class, and computes its losses.

    Args:
        strides: pixels per cell of each feature map, finest first.
        anchors, rpn, proposals, loss, conventions: settings, see `tf_frcnn.config`.

    Attributes:
        anchor_grid, head, anchor_targets, proposal_layer: its layers.
    """

    def __init__(
        self,
        strides: Sequence[int] = (16,),
        *,
        anchors: AnchorSettings | dict | None = None,
        rpn: RPNSettings | dict | None = None,
        proposals: ProposalSettings | dict | None = None,
        loss: LossSettings | dict | None = None,
        conventions: Conventions | str | dict | None = None,
        **kwargs,
    ):
        super().__init__(**{"autocast": False, "name": "rpn", **kwargs})
        self.conventions = Conventions.of(conventions)
        self.anchor_grid = AnchorGrid(strides, anchors, self.conventions)
        num_anchors = self.anchor_grid.anchors.per_cell
        self.head = RPNHead(num_anchors, rpn, dtype=self.dtype_policy)
        self.anchor_targets = AnchorTargetLayer(rpn, self.conventions)
        self.proposal_layer = ProposalLayer(proposals, self.conventions)
        self.loss = LossSettings.of(loss)
        self.stage_losses = StageLosses(self.loss, "rpn")

    def build(self, features_shape):
        """Creates the weights for maps of shape [B, h, w, C]."""
        if not self.head.built:
            self.head.build(features_shape)
        self.built = True

    def call(self, features: Sequence[tf.Tensor], image_sizes, canvas) -> RPNState:
        """Scores every anchor and predicts its deltas.

        Args:
            features: float [B, h, w, C] of each level.
            image_sizes: float32 [B, 2], (height, width) of each image in pixels.
            canvas: int32 [2], (height, width) of the batch in pixels.
        """
        anchors = self.anchor_grid(features, image_sizes, canvas)
        maps = [self.head(level) for level in features]
        return RPNState(anchors, maps, self.head.flatten(maps))

    def propose(
        self, state: RPNState, batch: Batch, training: bool | None = None
    ) -> Proposals:
        """Selects proposals, in network pixels; constants for the gradient."""
        sizes, scales = batch["image_sizes"], batch["scales"]
        return self.proposal_layer(
            state.outputs, state.anchors, sizes, scales, training=training
        )

    def losses_of(
        self, state: RPNState, batch: Batch, seed: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Computes `rpn_class_loss` and `rpn_box_loss`, float32 scalars.

        Args:
            state: of this batch.
            batch: with `boxes` and `labels`, and perhaps `crowd`.
            seed: int64 [3], of the sample.
        """
        plus_one = self.conventions.plus_one
        targets = self.anchor_targets(
            state.anchors,
            batch["image_sizes"],
            inner_boxes(batch["boxes"], batch, plus_one=plus_one),
            batch["labels"],
            seed,
            batch.get("crowd"),
        )
        logits, deltas = state.outputs[::2]
        own = targets.labels, batch.get("image_weights")
        note(lambda: positive_anchors(*own))
        return {
            "rpn_class_loss": self.stage_losses.of_classes(logits, *own),
            "rpn_box_loss": self.stage_losses.of_boxes(deltas, targets.deltas, *own),
        }

    def in_file(self, proposals: Proposals, batch: Batch) -> Proposals:
        """Returns proposals as continuous corners in pixels of the file."""
        boxes = with_last_pixel(
            in_file(proposals.boxes, batch),
            proposals.valid,
            plus_one=self.conventions.plus_one,
        )
        return proposals._replace(boxes=boxes)

    def named_results(
        self, features: Sequence[tf.Tensor], batch: Batch
    ) -> dict[str, tf.Tensor]:
        """Returns the intermediate results under the names of the original.

        Args:
            features: float [B, h, w, C] of the one level.
            batch: see `models.batch`.

        Returns:
            rpn_cls_score: float32 [B, h, w, 2A], A background then A object scores.
            rpn_cls_score_reshape: float32 [B, A * h, w, 2], (background, object).
            rpn_cls_prob: float32 [B, h, w, 2A], probabilities of rpn_cls_score.
            rpn_cls_pred: int64 [B, A * h * w], 1 where object is the likelier; in the
                order of rpn_cls_score_reshape.
            rpn_bbox_pred: float32 [B, h, w, 4A], (dy, dx, dh, dw) per anchor.
            rois: float32 [B, P, 4], proposals of inference in network pixels.

        Raises:
            ValueError: the RPN has the sigmoid form, or several levels, and so lacks
                these results.

        Source: tf-faster-rcnn:lib/nets/network.py, `_region_proposal`.
        """
        form, strides = self.head.rpn.score_form, self.anchor_grid.strides
        if form != "softmax" or len(strides) > 1:
            raise ValueError(
                f"rpn_results: score_form = {form!r} on strides {strides} has no 2A "
                'channels to reshape; it needs rpn.score_form = "softmax" on a '
                "backbone of one map."
            )
        state = self(features, batch["image_sizes"], canvas_size(batch))
        (maps,) = state.maps
        reshaped = reshape_to_two_channels(maps.scores)
        flat = tf.reshape(reshaped, [tf.shape(reshaped)[0], -1, 2])
        return {
            "rpn_cls_score": maps.scores,
            "rpn_cls_score_reshape": reshaped,
            "rpn_cls_prob": maps.probabilities,
            "rpn_cls_pred": tf.argmax(flat, axis=-1),
            "rpn_bbox_pred": maps.deltas,
            "rois": self.propose(state, batch).boxes,
        }

    def get_config(self):
        """Returns the constructor's arguments."""
        own = settings_config(
            anchors=self.anchor_grid.anchors,
            rpn=self.head.rpn,
            proposals=self.proposal_layer.proposals,
            loss=self.loss,
            conventions=self.conventions,
        )
        return super().get_config() | {"strides": self.anchor_grid.strides, **own}
