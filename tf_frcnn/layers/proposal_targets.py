"""The RoIs that the box head is trained on, and their targets."""

import keras
import tensorflow as tf

from tf_frcnn.config import Conventions, RoISettings, settings_config
from tf_frcnn.ops.box_coder import encode_boxes
from tf_frcnn.ops.boxes import pairwise_iou
from tf_frcnn.ops.matching import best_matches, inside_crowd
from tf_frcnn.ops.sampling import random_keys, sample_rois
from tf_frcnn.structures import Proposals, RoITargets

# Keys are drawn for so many ground-truth boxes, or a multiple.
_ROWS = 1024


@keras.saving.register_keras_serializable("tf_frcnn")
class ProposalTargetLayer(keras.layers.Layer):
    """Samples RoIs from the proposals and assigns classes and deltas.

    Args:
        roi: `RoISettings`; those of sampling and `delta_stds` are read.
        conventions: `Conventions`; with `plus_one`, IoU and coding count inclusive
            pixels.

    Source: Girshick 2015, section 2.3; tf-faster-rcnn:lib/layer_utils/
        proposal_target_layer.py.
    """

    def __init__(
        self,
        roi: RoISettings | dict | None = None,
        conventions: Conventions | str | dict | None = None,
        **kwargs,
    ):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.roi, self.conventions = RoISettings.of(roi), Conventions.of(conventions)

    def call(self, proposals: Proposals, gt_boxes, gt_labels, seed, crowd=None):
        """Samples RoIs.

        Args:
            proposals: `Proposals`.
            gt_boxes: float32 [B, G, 4], pixels.
            gt_labels: int32 [B, G] in 0..K-1, -1 in padded rows.
            seed: int64 [3], of the sample; see `random_keys`.
            crowd: bool [B, G], boxes of crowd regions, which are no objects, and within
                which no RoI is background; see `ops.matching.inside_crowd`. None where
                there is none.

        Returns:
            `RoITargets`, foreground rows first.
        """
        boxes, _, valid, levels = proposals
        gt_valid = gt_labels >= 0
        if crowd is not None:
            gt_valid &= ~crowd
        if self.roi.add_ground_truth:
            boxes = tf.concat([boxes, gt_boxes], axis=1)
            valid = tf.concat([valid, gt_valid], axis=1)
            levels = tf.concat([levels, tf.zeros_like(gt_labels)], axis=1)
        plus_one = self.conventions.plus_one
        iou = pairwise_iou(boxes, gt_boxes, plus_one=plus_one)
        matches = best_matches(iou, gt_valid)
        overlap = tf.maximum(matches.iou, 0.0)
        low, high = self.roi.background_iou_low, self.roi.background_iou_high
        foreground = valid & (overlap >= self.roi.foreground_iou)
        background = valid & (overlap >= low) & (overlap < high)
        if crowd is not None:
            background &= ~inside_crowd(boxes, gt_boxes, crowd, plus_one=plus_one)
        index, sampled = sample_rois(
            foreground,
            background,
            self._keys(proposals, gt_boxes, seed),
            num_samples=self.roi.num_samples,
            foreground_fraction=self.roi.foreground_fraction,
            fill_with_repeats=self.conventions.fill_with_repeats,
        )
        boxes, levels, matched, is_object = (
            tf.gather(values, index, batch_dims=1)
            for values in (boxes, levels, matches.index, foreground)
        )
        targets = self._targets(
            boxes, matched, sampled & is_object, sampled, (gt_boxes, gt_labels)
        )
        return RoITargets(*targets, tf.where(sampled, levels, 0))

    def _keys(self, proposals, gt_boxes, seed):
        """Returns float32 [B, P + G or P]; an image's do not depend on the padded G."""
        batch, num_proposals = tf.unstack(tf.shape(proposals.scores))
        if not self.roi.add_ground_truth:
            return random_keys([batch, num_proposals], seed)
        num_boxes = tf.shape(gt_boxes)[1]
        width = num_proposals - (-num_boxes // _ROWS) * _ROWS
        return random_keys([batch, width], seed)[:, : num_proposals + num_boxes]

    def _targets(
        self, boxes, matched, is_object, sampled, ground_truth
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Returns boxes, labels and deltas of `RoITargets`."""
        gt_boxes, gt_labels = ground_truth
        labels = tf.gather(gt_labels, matched, batch_dims=1) + 1
        labels = tf.where(is_object, labels, tf.where(sampled, 0, -1))
        deltas = encode_boxes(
            tf.gather(gt_boxes, matched, batch_dims=1),
            boxes,
            stds=self.roi.delta_stds,
            plus_one=self.conventions.plus_one,
        )
        return (
            tf.where(sampled[..., tf.newaxis], boxes, 0.0),
            labels,
            tf.where(is_object[..., tf.newaxis], deltas, 0.0),
        )

    def get_config(self):
        """Returns the constructor's arguments."""
        own = settings_config(roi=self.roi, conventions=self.conventions)
        return super().get_config() | own
