"""The RPN's training targets for each anchor."""

import keras
import tensorflow as tf

from tf_frcnn.config import Conventions, RPNSettings, settings_config
from tf_frcnn.ops.anchor_labels import label_and_match
from tf_frcnn.ops.box_coder import encode_boxes
from tf_frcnn.ops.boxes import inside_image
from tf_frcnn.ops.sampling import random_keys, sample_anchors
from tf_frcnn.structures import Anchors, AnchorTargets


@keras.saving.register_keras_serializable("tf_frcnn")
class AnchorTargetLayer(keras.layers.Layer):
    """Labels anchors, samples them and encodes their target boxes.

    Args:
        rpn: `RPNSettings`; those of the training anchors are read.
        conventions: `Conventions`; with `plus_one`, IoU, coding and the border count
            inclusive pixels.

    Source: Ren et al. 2015, section 3.1.2.
    """

    def __init__(
        self,
        rpn: RPNSettings | dict | None = None,
        conventions: Conventions | str | dict | None = None,
        **kwargs,
    ):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.rpn, self.conventions = RPNSettings.of(rpn), Conventions.of(conventions)

    def call(
        self, anchors: Anchors, image_sizes, gt_boxes, gt_labels, seed, crowd=None
    ):
        """Computes the targets.

        Args:
            anchors: `Anchors`.
            image_sizes: float32 [B, 2], (height, width) of each image in pixels.
            gt_boxes: float32 [B, G, 4], pixels.
            gt_labels: int32 [B, G], -1 in padded rows.
            seed: int64 [3], of the sample; see `random_keys`.
            crowd: bool [B, G], boxes of crowd regions, which are no objects, and within
                which no anchor is background; see `ops.matching.inside_crowd`. None
                where there is none.

        Returns:
            `AnchorTargets`.
        """
        rpn, plus_one = self.rpn, self.conventions.plus_one
        gt_valid, anchor_valid = gt_labels >= 0, anchors.valid
        if crowd is not None:
            gt_valid &= ~crowd
        if rpn.allowed_border is not None:
            anchor_valid &= inside_image(
                anchors.boxes,
                image_sizes,
                border=rpn.allowed_border,
                plus_one=plus_one,
            )
        labels, matches = label_and_match(
            anchors.boxes,
            anchor_valid,
            gt_boxes,
            gt_valid,
            crowd,
            plus_one=plus_one,
            positive_iou=rpn.positive_iou,
            negative_iou=rpn.negative_iou,
            best_is_positive=rpn.best_is_positive,
        )
        labels = sample_anchors(
            labels,
            random_keys(tf.shape(labels), seed),
            num_samples=rpn.num_samples,
            positive_fraction=rpn.positive_fraction,
        )
        matched_boxes = tf.gather(gt_boxes, matches.index, batch_dims=1)
        deltas = encode_boxes(matched_boxes, anchors.boxes, plus_one=plus_one)
        has_target = anchor_valid & (matches.iou >= 0.0)
        return AnchorTargets(labels, tf.where(has_target[..., tf.newaxis], deltas, 0.0))

    def get_config(self):
        """Returns the constructor's arguments."""
        own = settings_config(rpn=self.rpn, conventions=self.conventions)
        return super().get_config() | own
