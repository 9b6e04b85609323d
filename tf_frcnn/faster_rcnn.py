"""Faster R-CNN (Ren et al. 2015) as a Keras model."""

from typing import NamedTuple

import keras
import tensorflow as tf

from tf_frcnn import layers
from tf_frcnn.detector import Detector
from tf_frcnn.ops.losses import box_loss, classification_loss
from tf_frcnn.ops.rpn_scores import reshape_to_two_channels
from tf_frcnn.structures import Detections, Proposals, RPNOutputs

# Offsets that keep the random numbers of one step apart; fc6 and fc7 use two.
_ANCHOR_SALT, _ROI_SALT, _DROPOUT_SALT, _NUM_SALTS = 0, 1, 2, 4


class Parts(NamedTuple):
    """The layers a detector is made of, in the order of the data.

    The trunk maps float [B, H, W, 3] to float [B, h, w, C].
    """

    normalization: layers.ImageNormalization
    backbone: keras.Model
    anchor_grid: layers.AnchorGrid
    rpn_head: layers.RPNHead
    anchor_targets: layers.AnchorTargetLayer
    proposal_layer: layers.ProposalLayer
    proposal_targets: layers.ProposalTargetLayer
    roi_pooling: layers.RoIPooling
    box_head: layers.FullyConnectedHead
    box_predictor: layers.BoxPredictor
    detection_layer: layers.DetectionLayer


class RPNState(NamedTuple):
    """What the first stage leaves for the losses and for the second stage."""

    features: tf.Tensor
    anchors: tf.Tensor
    anchor_valid: tf.Tensor
    maps: layers.rpn_head.RPNMaps
    outputs: RPNOutputs


@keras.saving.register_keras_serializable("tf_frcnn")
class FasterRCNN(Detector):
    """A region proposal network and a box head that share one trunk.

    A batch is a dict: `images` float32 [B, H, W, 3], RGB, 0..255, zero beyond the
    picture; `image_sizes` float32 [B, 2], (height, width) of each picture on its
    canvas (default: the canvas); `scales` float32 [B, 2], network pixels per file
    pixel along y and x (default: 1); and for training `boxes` float32 [B, G, 4] in
    network pixels and `labels` int32 [B, G] in 0..K-1, -1 in padded rows. Other keys
    are not read.

    Calling the model, `predict` and `predict_on_batch` give `Detections` as a dict,
    boxes in pixels of the file.

    Args:
        parts: the layers.
        class_names: of the K classes, without background.
        rpn_sigma: of the RPN's smooth L1.
        roi_sigma: of the box head's smooth L1.
        plus_one: boxes inside the network are inclusive pixels, as in the caffe line.
        seed: of sampling and dropout, together with the optimizer's step.
        **kwargs: of `Detector`.

    Source: Ren et al. 2015; training is the approximate joint one of section 3.2.
    """

    loss_names = (
        "loss",
        "rpn_class_loss",
        "rpn_box_loss",
        "roi_class_loss",
        "roi_box_loss",
        "decay_loss",
    )

    def __init__(
        self,
        parts: Parts,
        class_names: tuple[str, ...],
        *,
        rpn_sigma: float = 3.0,
        roi_sigma: float = 1.0,
        plus_one: bool = False,
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        for name, layer in parts._asdict().items():
            setattr(self, name, layer)
        self.class_names = tuple(class_names)
        self.rpn_sigma, self.roi_sigma = rpn_sigma, roi_sigma
        self.plus_one, self.seed = plus_one, seed

    def build(self, input_shape=None):
        """Creates all weights; they do not depend on the input's size."""
        features_shape = (None, None, None, self.backbone.output_shape[-1])
        side = self.roi_pooling.pooled_size
        pooled_shape = (None, None, side, side, features_shape[-1])
        for layer, shape in (
            (self.rpn_head, features_shape),
            (self.box_head, pooled_shape),
            (self.box_predictor, (None, None, self.box_head.units)),
        ):
            if not layer.built:
                layer.build(shape)
        self.built = True

    def _use_xla(self, uses_xla):
        super()._use_xla(uses_xla)
        if hasattr(self, "roi_pooling"):
            self.roi_pooling.for_xla = uses_xla

    # The network -------------------------------------------------------------------

    def call(self, inputs, training=None):
        """Detects objects; `inputs` is a batch, or its `images` alone."""
        batch = _with_defaults(inputs)
        rpn = self.first_stage(batch)
        proposals = self.propose(rpn, batch)
        logits, deltas = self.second_stage(rpn.features, proposals.boxes)
        return self.detect(proposals, logits, deltas, batch)._asdict()

    def first_stage(self, batch) -> RPNState:
        """Computes the trunk's features, the anchors and the RPN's outputs."""
        sizes = batch["image_sizes"]
        features = self.backbone(self.normalization(batch["images"], sizes))
        anchors, anchor_valid = self.anchor_grid(features, sizes)
        maps = self.rpn_head(features)
        outputs = self.rpn_head.flatten(maps)
        return RPNState(features, anchors, anchor_valid, maps, outputs)

    def propose(self, rpn: RPNState, batch, training=None) -> Proposals:
        """Selects proposals, in network pixels; constants for the gradient."""
        return self.proposal_layer(
            rpn.outputs,
            rpn.anchors,
            rpn.anchor_valid,
            batch["image_sizes"],
            batch["scales"],
            training=training,
        )

    def second_stage(self, features, boxes, seed=None, training=None):
        """Classifies RoIs: float32 [B, R, K + 1] logits, [B, R, sets, 4] deltas."""
        pooled = self.roi_pooling(features, boxes)
        hidden = self.box_head(pooled, seed=seed, training=training)
        return self.box_predictor(hidden)

    def detect(self, proposals: Proposals, logits, deltas, batch) -> Detections:
        """Makes detections, in pixels of the file."""
        scales = tf.tile(batch["scales"], [1, 2])[:, tf.newaxis]
        in_file = proposals._replace(boxes=proposals.boxes / scales)
        file_sizes = tf.round(batch["image_sizes"] / batch["scales"])
        detections = self.detection_layer(in_file, logits, deltas, file_sizes)
        if not self.plus_one:
            return detections
        last_pixel = tf.constant([0.0, 0.0, 1.0, 1.0])
        last_pixel *= tf.cast(detections.valid, tf.float32)[..., tf.newaxis]
        return detections._replace(boxes=detections.boxes + last_pixel)

    def rpn_results(self, inputs) -> dict[str, tf.Tensor]:
        """Returns the RPN's intermediate results under the names of the original.

        Args:
            inputs: a batch, or its `images` alone.

        Returns:
            rpn_cls_score: float32 [B, h, w, 2A], A background then A object scores.
            rpn_cls_score_reshape: float32 [B, A * h, w, 2], (background, object).
            rpn_cls_prob: float32 [B, h, w, 2A], probabilities of rpn_cls_score.
            rpn_cls_pred: int64 [B, A * h * w], 1 where object is the likelier; in the
                order of rpn_cls_score_reshape.
            rpn_bbox_pred: float32 [B, h, w, 4A], (dy, dx, dh, dw) per anchor.
            rois: float32 [B, P, 4], proposals of inference in network pixels.

        Raises:
            ValueError: the RPN has the sigmoid form, which has no such results.

        Source: tf-faster-rcnn:lib/nets/network.py, `_region_proposal`.
        """
        if self.rpn_head.score_form != "softmax":
            raise ValueError(
                f"rpn_results: score_form = {self.rpn_head.score_form!r} has no 2A "
                'channels to reshape; build the RPNHead with score_form="softmax".'
            )
        batch = _with_defaults(inputs)
        rpn = self.first_stage(batch)
        reshaped = reshape_to_two_channels(rpn.maps.scores)
        flat = tf.reshape(reshaped, [tf.shape(reshaped)[0], -1, 2])
        return {
            "rpn_cls_score": rpn.maps.scores,
            "rpn_cls_score_reshape": reshaped,
            "rpn_cls_prob": rpn.maps.probabilities,
            "rpn_cls_pred": tf.argmax(flat, axis=-1),
            "rpn_bbox_pred": rpn.maps.deltas,
            "rois": self.propose(rpn, batch).boxes,
        }

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
        batch = _with_defaults(inputs)
        gt_boxes, gt_labels = self._inner_boxes(batch), batch["labels"]
        rpn = self.first_stage(batch)
        targets = self.anchor_targets(
            rpn.anchors,
            rpn.anchor_valid,
            batch["image_sizes"],
            gt_boxes,
            gt_labels,
            self._random_seed(_ANCHOR_SALT, step),
        )
        proposals = self.propose(rpn, batch, training=training)
        rois = self.proposal_targets(
            proposals, gt_boxes, gt_labels, self._random_seed(_ROI_SALT, step)
        )
        logits, deltas = self.second_stage(
            rpn.features,
            rois.boxes,
            self._random_seed(_DROPOUT_SALT, step),
            training=training,
        )
        deltas = self.box_predictor.deltas_of(deltas, rois.labels)
        losses = {
            "rpn_class_loss": classification_loss(rpn.outputs.logits, targets.labels),
            "rpn_box_loss": box_loss(
                rpn.outputs.deltas, targets.deltas, targets.labels, sigma=self.rpn_sigma
            ),
            "roi_class_loss": classification_loss(logits, rois.labels),
            "roi_box_loss": box_loss(
                deltas, rois.deltas, rois.labels, sigma=self.roi_sigma
            ),
            "decay_loss": self.decay_loss(),
        }
        return {"loss": tf.add_n(list(losses.values())), **losses}

    def _inner_boxes(self, batch):
        """Returns the ground truth in the convention the network computes in."""
        if not self.plus_one:
            return batch["boxes"]
        scales = batch["scales"]
        last_pixel = tf.concat([tf.zeros_like(scales), scales], axis=-1)
        return batch["boxes"] - last_pixel[:, tf.newaxis]

    def _random_seed(self, salt, step):
        first = tf.constant(self.seed * _NUM_SALTS + salt, tf.int64)
        return tf.stack([first, tf.cast(step, tf.int64)])

    # Saving --------------------------------------------------------------------------

    def get_config(self):
        """Returns the constructor's arguments; layers as their own configurations."""
        parts = {
            name: keras.saving.serialize_keras_object(getattr(self, name))
            for name in Parts._fields
        }
        return super().get_config() | {
            "parts": parts,
            "class_names": self.class_names,
            "rpn_sigma": self.rpn_sigma,
            "roi_sigma": self.roi_sigma,
            "plus_one": self.plus_one,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Makes a detector of what `get_config` returned."""
        parts = {
            name: keras.saving.deserialize_keras_object(part, custom_objects)
            for name, part in config["parts"].items()
        }
        return cls(**{**config, "parts": Parts(**parts)})


def _with_defaults(inputs):
    """Returns the batch with `image_sizes` and `scales`; images may come alone."""
    batch = dict(inputs) if isinstance(inputs, dict) else {"images": inputs}
    images = batch["images"] = tf.cast(batch["images"], tf.float32)
    canvas = tf.cast(tf.shape(images)[1:3], tf.float32)
    whole = tf.tile(canvas[tf.newaxis], [tf.shape(images)[0], 1])
    batch.setdefault("image_sizes", whole)
    batch.setdefault("scales", tf.ones_like(whole))
    return batch
