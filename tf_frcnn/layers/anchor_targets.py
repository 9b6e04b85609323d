"""What the RPN is trained to say of each anchor."""

import keras
import tensorflow as tf

from tf_frcnn.ops.box_coder import encode_boxes
from tf_frcnn.ops.boxes import inside_image, pairwise_iou
from tf_frcnn.ops.matching import best_matches, label_anchors
from tf_frcnn.ops.sampling import random_keys, sample_anchors
from tf_frcnn.structures import Anchors, AnchorTargets


@keras.saving.register_keras_serializable("tf_frcnn")
class AnchorTargetLayer(keras.layers.Layer):
    """Labels anchors, samples them and codes the boxes they shall reach.

    Args:
        positive_iou: IoU from which an anchor is an object.
        negative_iou: IoU below which it is background.
        best_is_positive: the best anchor of a box is an object whatever its IoU.
        clobber_positives: negatives win over the best anchor of a box.
        allowed_border: pixels by which an anchor may cross the picture's edge and
            still count; None for any.
        num_samples: anchors per picture.
        positive_fraction: largest share of objects in the sample.
        plus_one: IoU, coding and the border count inclusive pixels.

    Source: Ren et al. 2015, section 3.1.2.
    """

    def __init__(
        self,
        *,
        positive_iou: float = 0.7,
        negative_iou: float = 0.3,
        best_is_positive: bool = True,
        clobber_positives: bool = False,
        allowed_border: float | None = 0.0,
        num_samples: int = 256,
        positive_fraction: float = 0.5,
        plus_one: bool = False,
        **kwargs,
    ):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.positive_iou, self.negative_iou = positive_iou, negative_iou
        self.best_is_positive = best_is_positive
        self.clobber_positives = clobber_positives
        self.allowed_border = allowed_border
        self.num_samples, self.positive_fraction = num_samples, positive_fraction
        self.plus_one = plus_one

    def call(self, anchors: Anchors, image_sizes, gt_boxes, gt_labels, seed):
        """Computes the targets.

        Args:
            anchors: `Anchors`.
            image_sizes: float32 [B, 2], (height, width) of each picture in pixels.
            gt_boxes: float32 [B, G, 4], pixels.
            gt_labels: int32 [B, G], -1 in padded rows.
            seed: int [2], of the sample.

        Returns:
            `AnchorTargets`.
        """
        gt_valid, anchor_valid = gt_labels >= 0, anchors.valid
        if self.allowed_border is not None:
            anchor_valid &= inside_image(
                anchors.boxes,
                image_sizes,
                border=self.allowed_border,
                plus_one=self.plus_one,
            )
        iou = pairwise_iou(anchors.boxes, gt_boxes, plus_one=self.plus_one)
        labels = label_anchors(
            iou,
            anchor_valid,
            gt_valid,
            positive_iou=self.positive_iou,
            negative_iou=self.negative_iou,
            best_is_positive=self.best_is_positive,
            clobber_positives=self.clobber_positives,
        )
        labels = sample_anchors(
            labels,
            random_keys(tf.shape(labels), seed),
            num_samples=self.num_samples,
            positive_fraction=self.positive_fraction,
        )
        matches = best_matches(iou, gt_valid)
        matched_boxes = tf.gather(gt_boxes, matches.index, batch_dims=1)
        deltas = encode_boxes(matched_boxes, anchors.boxes, plus_one=self.plus_one)
        has_target = anchor_valid & (matches.iou >= 0.0)
        return AnchorTargets(labels, tf.where(has_target[..., tf.newaxis], deltas, 0.0))

    def get_config(self):
        """Returns the constructor's arguments."""
        return super().get_config() | {
            "positive_iou": self.positive_iou,
            "negative_iou": self.negative_iou,
            "best_is_positive": self.best_is_positive,
            "clobber_positives": self.clobber_positives,
            "allowed_border": self.allowed_border,
            "num_samples": self.num_samples,
            "positive_fraction": self.positive_fraction,
            "plus_one": self.plus_one,
        }
