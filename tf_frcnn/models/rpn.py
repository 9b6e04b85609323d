"""The region proposal network (Ren et al. 2015, section 3.1) as a Keras model."""

from typing import NamedTuple

import keras
import tensorflow as tf

from tf_frcnn import layers
from tf_frcnn.models.detector import Detector
from tf_frcnn.ops.losses import DIVISORS, box_loss, classification_loss
from tf_frcnn.ops.rpn_scores import reshape_to_two_channels
from tf_frcnn.structures import Anchors, Proposals, RPNOutputs

# Offsets that keep the random numbers of one step apart; fc6 and fc7 use two.
_ANCHOR_SALT, _NUM_SALTS = 0, 4


class RPNParts(NamedTuple):
    """The layers of the first stage, in the order of the data.

    The trunk maps float [B, H, W, 3] to float [B, h, w, C], or to a list of such maps,
    finest first.
    """

    normalization: layers.ImageNormalization
    backbone: keras.Model
    anchor_grid: layers.AnchorGrid
    rpn_head: layers.RPNHead
    anchor_targets: layers.AnchorTargetLayer
    proposal_layer: layers.ProposalLayer


class StageLosses(NamedTuple):
    """The forms of one stage's two losses.

    Attributes:
        sigma: of the smooth L1; None for plain L1.
        focal: (alpha, gamma) of the focal loss; None for the cross entropy.
        divisor: of the box loss, see `ops.losses.box_loss`.
    """

    sigma: float | None = 1.0
    focal: tuple[float, float] | None = None
    divisor: str = DIVISORS[0]

    @classmethod
    def from_config(cls, config: dict) -> "StageLosses":
        """Makes the forms of what `_asdict` and a round through JSON made of them."""
        focal = config["focal"] and tuple(config["focal"])
        return cls(**{**config, "focal": focal})

    def of_classes(self, logits, labels) -> tf.Tensor:
        """Computes the mean classification loss, float32 []."""
        return classification_loss(logits, labels, focal=self.focal)

    def of_boxes(self, deltas, targets, labels) -> tf.Tensor:
        """Computes the box loss, float32 []."""
        return box_loss(deltas, targets, labels, sigma=self.sigma, divisor=self.divisor)


class RPNState(NamedTuple):
    """What the first stage leaves for the losses and for the second stage.

    Attributes:
        features: float [B, h, w, C] of each level.
        anchors: of all levels.
        maps: the head's outputs, per level.
        outputs: the same, anchor by anchor.
    """

    features: list[tf.Tensor]
    anchors: Anchors
    maps: list[layers.rpn_head.RPNMaps]
    outputs: RPNOutputs


@keras.saving.register_keras_serializable("tf_frcnn")
class RegionProposalNetwork(Detector):
    """A trunk and an RPN head: proposals of where objects are, whatever their class.

    A batch is a dict: `images` float32 [B, H, W, 3], RGB, 0..255, zero beyond the
    picture; `image_sizes` float32 [B, 2], (height, width) of each picture on its
    canvas (default: the canvas); `scales` float32 [B, 2], network pixels per file
    pixel along y and x (default: 1); `file_sizes` float32 [B, 2], (height, width) in
    pixels of the file (default: as the scales have it, rounded); and for training
    `boxes` float32 [B, G, 4] in network pixels and `labels` int32 [B, G] in 0..K-1, -1
    in padded rows. Other keys are not read.

    Calling the model, `predict` and `predict_on_batch` give `Proposals` as a dict,
    boxes in pixels of the file.

    Args:
        parts: the layers.
        class_names: of the K classes, without background.
        rpn_losses: the forms of the two losses.
        plus_one: boxes inside the network are inclusive pixels, as in the caffe line.
        seed: of sampling, together with the optimizer's step.
        **kwargs: of `Detector`.
    """

    loss_names = ("loss", "rpn_class_loss", "rpn_box_loss", "decay_loss")
    parts_type = RPNParts

    def __init__(
        self,
        parts: RPNParts,
        class_names: tuple[str, ...],
        *,
        rpn_losses: StageLosses | None = None,
        plus_one: bool = False,
        seed: int = 0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        for name, layer in parts._asdict().items():
            setattr(self, name, layer)
        self.class_names = tuple(class_names)
        self.rpn_losses = rpn_losses or StageLosses(sigma=3.0)
        self.plus_one, self.seed = plus_one, seed

    @property
    def parts(self):
        """The layers, as they were given."""
        return self.parts_type(*(getattr(self, n) for n in self.parts_type._fields))

    def build(self, input_shape=None):
        """Creates all weights; they do not depend on the input's size."""
        if not self.rpn_head.built:
            self.rpn_head.build((None, None, None, self._num_channels))
        self.built = True

    @property
    def _num_channels(self):
        """C, the channels of the trunk's maps."""
        return self.backbone.outputs[0].shape[-1]

    def call(self, inputs, training=None):
        """Proposes boxes; `inputs` is a batch, or its `images` alone."""
        batch = with_defaults(inputs)
        proposals = self.propose(self.first_stage(batch), batch)
        return self.in_file(proposals, batch)._asdict()

    def first_stage(self, batch) -> RPNState:
        """Computes the trunk's features, the anchors and the RPN's outputs."""
        features, canvas_size = self.features(batch), tf.shape(batch["images"])[1:3]
        anchors = self.anchor_grid(features, batch["image_sizes"], canvas_size)
        maps = [self.rpn_head(level) for level in features]
        return RPNState(features, anchors, maps, self.rpn_head.flatten(maps))

    def features(self, batch) -> list[tf.Tensor]:
        """Computes the trunk's maps, float [B, h, w, C] each, finest first."""
        images = self.normalization(batch["images"], batch["image_sizes"])
        maps = self.backbone(images)
        return list(maps) if isinstance(maps, list | tuple) else [maps]

    def propose(self, rpn: RPNState, batch, training=None) -> Proposals:
        """Selects proposals, in network pixels; constants for the gradient."""
        sizes, scales = batch["image_sizes"], batch["scales"]
        return self.proposal_layer(
            rpn.outputs, rpn.anchors, sizes, scales, training=training
        )

    def in_file(self, proposals: Proposals, batch) -> Proposals:
        """Returns proposals as continuous corners in pixels of the file."""
        boxes = proposals.boxes / box_scales(batch)
        if self.plus_one:
            boxes += tf.constant([0.0, 0.0, 1.0, 1.0])
        boxes = tf.where(proposals.valid[..., tf.newaxis], boxes, 0.0)
        return proposals._replace(boxes=boxes)

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
            ValueError: the RPN has the sigmoid form, or several levels, and so no such
                results.

        Source: tf-faster-rcnn:lib/nets/network.py, `_region_proposal`.
        """
        if self.rpn_head.score_form != "softmax" or len(self.anchor_grid.strides) > 1:
            raise ValueError(
                f"rpn_results: score_form = {self.rpn_head.score_form!r} on strides "
                f"{self.anchor_grid.strides} has no 2A channels to reshape; build the "
                'RPNHead with score_form="softmax" on a trunk of one map.'
            )
        batch = with_defaults(inputs)
        rpn = self.first_stage(batch)
        (maps,) = rpn.maps
        reshaped = reshape_to_two_channels(maps.scores)
        flat = tf.reshape(reshaped, [tf.shape(reshaped)[0], -1, 2])
        return {
            "rpn_cls_score": maps.scores,
            "rpn_cls_score_reshape": reshaped,
            "rpn_cls_prob": maps.probabilities,
            "rpn_cls_pred": tf.argmax(flat, axis=-1),
            "rpn_bbox_pred": maps.deltas,
            "rois": self.propose(rpn, batch).boxes,
        }

    def compute_losses(self, inputs, step, training=False) -> dict[str, tf.Tensor]:
        """Computes the RPN's losses, the weight decay and their sum.

        Args:
            inputs: a batch with `boxes` and `labels`.
            step: int scalar, makes the random numbers together with the seed.
            training: unused; the RPN trains and tests alike.

        Returns:
            float32 scalars under the names of `Detector.loss_names`.
        """
        batch = with_defaults(inputs)
        return self.with_sum(self.rpn_loss_parts(self.first_stage(batch), batch, step))

    def rpn_loss_parts(self, rpn: RPNState, batch, step) -> dict[str, tf.Tensor]:
        """Computes `rpn_class_loss` and `rpn_box_loss`."""
        targets = self.anchor_targets(
            rpn.anchors,
            batch["image_sizes"],
            self.inner_boxes(batch["boxes"], batch),
            batch["labels"],
            self.random_seed(_ANCHOR_SALT, step),
        )
        logits, deltas, labels = rpn.outputs.logits, rpn.outputs.deltas, targets.labels
        return {
            "rpn_class_loss": self.rpn_losses.of_classes(logits, labels),
            "rpn_box_loss": self.rpn_losses.of_boxes(deltas, targets.deltas, labels),
        }

    def inner_boxes(self, boxes, batch) -> tf.Tensor:
        """Returns boxes of a batch in the convention the network computes in."""
        if not self.plus_one:
            return boxes
        scales = batch["scales"]
        last_pixel = tf.concat([tf.zeros_like(scales), scales], axis=-1)
        return boxes - last_pixel[:, tf.newaxis]

    def random_seed(self, salt, step) -> tf.Tensor:
        """Returns int64 [2]; the salts of one step are 0 to 3."""
        first = tf.constant(self.seed * _NUM_SALTS + salt, tf.int64)
        return tf.stack([first, tf.cast(step, tf.int64)])

    def get_config(self):
        """Returns the constructor's arguments; layers as their own configurations."""
        parts = {
            name: keras.saving.serialize_keras_object(layer)
            for name, layer in self.parts._asdict().items()
        }
        return super().get_config() | {
            "parts": parts,
            "class_names": self.class_names,
            "rpn_losses": self.rpn_losses._asdict(),
            "plus_one": self.plus_one,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Makes a model of what `get_config` returned."""
        parts = {
            name: keras.saving.deserialize_keras_object(part, custom_objects)
            for name, part in config["parts"].items()
        }
        losses = {
            name: StageLosses.from_config(config[name])
            for name in ("rpn_losses", "roi_losses")
            if name in config
        }
        return cls(**{**config, **losses, "parts": cls.parts_type(**parts)})


def with_defaults(inputs) -> dict[str, tf.Tensor]:
    """Returns the batch with what may be missing; images may come alone."""
    batch = dict(inputs) if isinstance(inputs, dict) else {"images": inputs}
    images = batch["images"] = tf.cast(batch["images"], tf.float32)
    canvas = tf.cast(tf.shape(images)[1:3], tf.float32)
    whole = tf.tile(canvas[tf.newaxis], [tf.shape(images)[0], 1])
    batch.setdefault("image_sizes", whole)
    batch.setdefault("scales", tf.ones_like(whole))
    file_sizes = tf.round(batch["image_sizes"] / batch["scales"])
    batch.setdefault("file_sizes", file_sizes)
    return batch


def box_scales(batch) -> tf.Tensor:
    """Returns float32 [B, 1, 4], network pixels per file pixel of each coordinate."""
    return tf.tile(batch["scales"], [1, 2])[:, tf.newaxis]
