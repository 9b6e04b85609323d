"""The RoI head: the classes and refined boxes of RoIs."""

import functools
from collections.abc import Sequence

import keras
import tensorflow as tf

from tf_frcnn.config import (
    Conventions,
    DetectionSettings,
    LossSettings,
    RoISettings,
    settings_config,
)
from tf_frcnn.layers import (
    BoxPredictor,
    DetectionLayer,
    ProposalTargetLayer,
    RoIPooling,
)
from tf_frcnn.models.batch import Batch, in_file, inner_boxes, with_last_pixel
from tf_frcnn.models.seeds import Seeds
from tf_frcnn.models.stage_losses import Decode, StageLosses
from tf_frcnn.models.step_figures import covered_objects, foreground_rois, note
from tf_frcnn.ops.box_coder import decode_boxes
from tf_frcnn.ops.roi_levels import assign_levels
from tf_frcnn.structures import Detections, Proposals, RoITargets


@keras.saving.register_keras_serializable("tf_frcnn")
class RoIHead(keras.layers.Layer):
    """Pools RoIs, classifies them, refines their boxes, and computes its losses.

    With `roi.hard_examples` it learns from the RoIs of the highest loss (online hard
    example mining); the proposal layer has suppressed them already. Of
    `roi.cascade_ious` it is the first head; a `CascadeHead` has all of them.

    Args:
        num_classes: K, without background.
        box_head: layer from pooled RoIs float [B, R, S, S, C] to float [B, R, units];
            see `layers.box_heads`.
        strides: pixels per cell of the maps that RoIs are pooled from, finest first.
        num_proposals: of an image in training, among which hard examples are sought.
        roi, detections, loss, conventions: settings, see `tf_frcnn.config`.

    Attributes:
        pooling, box_head, predictor, proposal_targets, detection_layer: its layers.

    Source: Girshick 2015; Shrivastava et al. 2016 for hard examples; Lin et al. 2017
        (feature pyramids), equation 1, for `level_rule` "size".
    """

    def __init__(
        self,
        num_classes: int,
        box_head: keras.layers.Layer,
        strides: Sequence[int] = (16,),
        *,
        num_proposals: int = 2000,
        roi: RoISettings | dict | None = None,
        detections: DetectionSettings | dict | None = None,
        loss: LossSettings | dict | None = None,
        conventions: Conventions | str | dict | None = None,
        **kwargs,
    ):
        super().__init__(**{"autocast": False, "name": "roi_head", **kwargs})
        self.num_classes, self.num_proposals = num_classes, num_proposals
        self.roi, self.conventions = RoISettings.of(roi), Conventions.of(conventions)
        self.detections = DetectionSettings.of(detections)
        self.detections.check_classes(num_classes)
        self.loss = LossSettings.of(loss)
        self.stage_losses = StageLosses(self.loss, "roi")
        self.pooling = RoIPooling(
            strides, self.roi, self.conventions, dtype=self.dtype_policy
        )
        self.box_head = box_head
        self.predictor = BoxPredictor(num_classes, self.roi, dtype=self.dtype_policy)
        self.proposal_targets = ProposalTargetLayer(*self._sampling())
        self.detection_layer = DetectionLayer(
            self.detections, self.roi, self.conventions
        )

    def _sampling(self) -> tuple[RoISettings, Conventions]:
        """Returns the settings of sampling; hard examples are sought among all RoIs."""
        if self.roi.hard_examples is None:
            return self.roi, self.conventions
        count = self.num_proposals
        roi = self.roi.replace(num_samples=count, foreground_fraction=1.0)
        return roi, self.conventions.replace(fill_with_repeats=False)

    def build(self, features_shape):
        """Creates the weights for maps of shape [B, h, w, C]."""
        side = self.roi.pooled_size
        if not self.box_head.built:
            self.box_head.build((None, None, side, side, features_shape[-1]))
        if not self.predictor.built:
            self.predictor.build((None, None, self.box_head.units))
        self.built = True

    def call(self, features, rois, canvas, seed=None, training=None):
        """Classifies RoIs.

        Args:
            features: float [B, h, w, C] of each level.
            rois: `Proposals` or `RoITargets`; boxes and levels are used.
            canvas: int32 [2], (height, width) of the batch in pixels.
            seed: int64 [3], of dropout.
            training: whether dropout is on.

        Returns:
            float32 [B, R, K + 1] logits and [B, R, sets, 4] deltas.
        """
        maps = features[: len(self.pooling.strides)]
        pooled = self.pooling(maps, rois.boxes, self._levels(rois), canvas)
        hidden = self.box_head(pooled, seed=seed, training=training)
        return self.predictor(hidden)

    def _levels(self, rois):
        """Returns int32 [B, R], the map that each RoI is pooled from."""
        strides = self.pooling.strides
        if self.roi.level_rule == "anchor":
            return tf.minimum(rois.levels, len(strides) - 1)
        finest = strides[0].bit_length() - 1
        return assign_levels(rois.boxes, levels=(finest, finest + len(strides) - 1))

    def heads(self) -> list["RoIHead"]:
        """Returns the heads that judge RoIs one after the other: this one alone."""
        return [self]

    def judge(
        self,
        features: Sequence[tf.Tensor],
        proposals: Proposals,
        batch: Batch,
        canvas: tf.Tensor,
    ) -> tuple[Proposals, tf.Tensor, tf.Tensor]:
        """Classifies proposals.

        Args:
            features: float [B, h, w, C] of each level.
            proposals: in network pixels.
            batch: with `image_sizes`.
            canvas: int32 [2], (height, width) of the batch in pixels.

        Returns:
            What `detect` takes: the proposals, in the same order, as the last head has
            them; their logits and their deltas.
        """
        return proposals, *self(features, proposals, canvas)

    def learn(
        self,
        features: Sequence[tf.Tensor],
        proposals: Proposals,
        batch: Batch,
        canvas: tf.Tensor,
        seeds: Seeds,
        *,
        training: bool,
    ) -> dict[str, tf.Tensor]:
        """Computes the losses of RoIs chosen from the proposals; see `losses_of`.

        Args:
            features, proposals, canvas: see `judge`.
            batch: see `targets`.
            seeds: of the step.
            training: whether dropout is on.
        """
        rois = self.targets(features, proposals, batch, canvas, seeds.roi)
        logits, deltas = self(
            features, rois, canvas, seed=seeds.dropout, training=training
        )
        return self.losses_of(logits, deltas, rois, batch.get("image_weights"))

    def targets(
        self,
        features: Sequence[tf.Tensor],
        proposals: Proposals,
        batch: Batch,
        canvas: tf.Tensor,
        seed: tf.Tensor,
    ) -> RoITargets:
        """Chooses the RoIs to learn from, with their targets.

        Args:
            features: float [B, h, w, C] of each level, on which hard examples depend.
            proposals: `Proposals`, in network pixels.
            batch: with `boxes` and `labels`, and perhaps `crowd`.
            canvas: int32 [2], (height, width) of the batch in pixels.
            seed: int64 [3], of the sample.
        """
        plus_one = self.conventions.plus_one
        boxes = inner_boxes(batch["boxes"], batch, plus_one=plus_one)
        rois = self.proposal_targets(
            proposals, boxes, batch["labels"], seed, batch.get("crowd")
        )
        note(lambda: covered_objects(proposals, boxes, batch, plus_one=plus_one))
        if self.roi.hard_examples is None:
            return rois
        logits, deltas = self(features, rois, canvas)
        return self._hardest(logits, deltas, rois)

    def _hardest(self, logits, deltas, rois: RoITargets) -> RoITargets:
        """Returns the RoIs of the highest loss in each image."""
        deltas = self._deltas_of_labels(deltas, rois.labels)
        hardness = self.stage_losses.of_rows(
            logits, deltas, rois.deltas, rois.labels, self._decode(rois)
        )
        hardness = tf.where(rois.labels >= 0, hardness, -1.0)
        _, index = tf.math.top_k(tf.stop_gradient(hardness), self.roi.hard_examples)
        return tf.nest.map_structure(
            lambda values: tf.gather(values, index, batch_dims=1), rois
        )

    def losses_of(
        self,
        logits: tf.Tensor,
        deltas: tf.Tensor,
        rois: RoITargets,
        weights: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:
        """Computes `roi_class_loss` and `roi_box_loss`, float32 scalars.

        Args:
            logits, deltas: of the RoIs.
            rois: to learn from.
            weights: float32 [B], of the images' losses; None for 1.
        """
        own = rois.labels, weights
        note(lambda: foreground_rois(rois.labels, self.num_classes, weights))
        class_loss = self.stage_losses.of_classes(logits, *own)
        deltas, box_loss = self._deltas_of_labels(deltas, rois.labels), tf.constant(0.0)
        if deltas is not None:
            decode = self._decode(rois)
            box_loss = self.stage_losses.of_boxes(deltas, rois.deltas, *own, decode)
        return {"roi_class_loss": class_loss, "roi_box_loss": box_loss}

    def _decode(self, rois: RoITargets) -> Decode:
        """Returns what makes boxes of deltas [B, R, 4], without clipping."""
        return functools.partial(
            decode_boxes,
            sources=rois.boxes,
            stds=self.roi.delta_stds,
            plus_one=self.conventions.plus_one,
            max_log_scale=self.conventions.max_log_scale,
        )

    def _deltas_of_labels(self, deltas, labels):
        """Returns float32 [B, R, 4], or None if the head does not refine boxes."""
        if not self.roi.regress_boxes:
            return None
        return self.predictor.deltas_of(deltas, labels)

    def detect(
        self,
        proposals: Proposals,
        logits: tf.Tensor,
        deltas: tf.Tensor,
        batch: Batch,
        layer: DetectionLayer | None = None,
    ) -> Detections:
        """Makes detections, continuous corners in pixels of the file.

        Args:
            proposals: in network pixels.
            logits, deltas: of these.
            batch: see `models.batch`.
            layer: other than the head's own, to try its settings.
        """
        own = proposals._replace(boxes=in_file(proposals.boxes, batch))
        layer = layer or self.detection_layer
        found = layer(own, logits, deltas, batch["file_sizes"])
        boxes = with_last_pixel(
            found.boxes, found.valid, plus_one=self.conventions.plus_one
        )
        return found._replace(boxes=boxes)

    def refined_boxes(
        self, proposals: Proposals, deltas: tf.Tensor, batch: Batch
    ) -> tf.Tensor:
        """Returns float32 [B, P, K, 4], what `detect` chooses its boxes from."""
        boxes = self.detection_layer.refine(
            in_file(proposals.boxes, batch),
            deltas,
            batch["file_sizes"],
            self.num_classes,
        )
        valid = proposals.valid[..., tf.newaxis]
        plus_one = self.conventions.plus_one
        return with_last_pixel(boxes, valid, plus_one=plus_one)

    def get_config(self):
        """Returns the constructor's arguments, with the box head's configuration."""
        own = settings_config(
            roi=self.roi,
            detections=self.detections,
            loss=self.loss,
            conventions=self.conventions,
        )
        return super().get_config() | {
            "num_classes": self.num_classes,
            "box_head": keras.saving.serialize_keras_object(self.box_head),
            "strides": self.pooling.strides,
            "num_proposals": self.num_proposals,
            **own,
        }

    @classmethod
    def from_config(cls, config):
        """Makes a head from the result of `get_config`."""
        box_head = keras.saving.deserialize_keras_object(config["box_head"])
        return cls(**{**config, "box_head": box_head})
