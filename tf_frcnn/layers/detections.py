"""Final detections from the box predictor's outputs."""

from typing import Any

import keras
import tensorflow as tf

from tf_frcnn.config import (
    Conventions,
    DetectionSettings,
    RoISettings,
    settings_config,
)
from tf_frcnn.ops.box_coder import decode_boxes
from tf_frcnn.ops.boxes import box_sides, clip_to_image
from tf_frcnn.ops.nms import non_max_suppression
from tf_frcnn.ops.soft_nms import soft_non_max_suppression
from tf_frcnn.structures import Detections, Proposals


@keras.saving.register_keras_serializable("tf_frcnn")
class DetectionLayer(keras.layers.Layer):
    """Decodes and clips boxes per class, suppresses overlaps, keeps the best of all.

    Args:
        detections: `DetectionSettings`.
        roi: `RoISettings`; `delta_stds` are read.
        conventions: `Conventions`; with `plus_one`, coding, clipping and NMS count
            inclusive pixels. A box outside, which `clip` "own_side" turns inside out,
            is dropped; the original keeps it.

    Attributes:
        unroll: False; whether classes are suppressed one by one without a loop in the
            graph, for runtimes that have none. The batch must then be static.
        for_xla: False; whether overlaps are suppressed in the form for XLA and GPUs.

    With `suppression` "soft" boxes that overlap are not dropped but lose score, and
    must exceed the thresholds still.

    Source: Girshick 2015, section 2.4; tf-faster-rcnn:lib/model/test.py; clip "none":
        faster-rcnn-pytorch (bubbliiiing):utils/utils_bbox.py.
    """

    def __init__(
        self,
        detections: DetectionSettings | dict | None = None,
        roi: RoISettings | dict | None = None,
        conventions: Conventions | str | dict | None = None,
        **kwargs,
    ):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.detections = DetectionSettings.of(detections)
        self.roi, self.conventions = RoISettings.of(roi), Conventions.of(conventions)
        self.unroll = self.for_xla = False

    def call(self, proposals: Proposals, logits, deltas, image_sizes):
        """Makes detections.

        Args:
            proposals: `Proposals`.
            logits: float32 [B, P, K + 1], background first.
            deltas: float32 [B, P, K + 1, 4] or, class agnostic, [B, P, 1, 4].
            image_sizes: float32 [B, 2], (height, width) of each image in pixels.

        Returns:
            `Detections` in the pixels of the proposals, by falling score.
        """
        num_classes, num_proposals = logits.shape[-1] - 1, logits.shape[1]
        boxes = self.refine(proposals.boxes, deltas, image_sizes, num_classes)
        # From here on classes come before proposals.
        scores = tf.transpose(tf.nn.softmax(logits)[..., 1:], [0, 2, 1])
        boxes = tf.transpose(boxes, [0, 2, 1, 3])
        labels = tf.zeros_like(scores, tf.int32) + tf.range(num_classes)[:, tf.newaxis]
        heights, widths = box_sides(boxes, plus_one=self.conventions.plus_one)
        valid = (
            proposals.valid[:, tf.newaxis]
            & (scores > self._thresholds())
            & (heights >= self.detections.min_size)
            & (widths >= self.detections.min_size)
        )

        num_groups = 1 if self.detections.class_agnostic_nms else num_classes
        group_size = num_proposals * num_classes // num_groups

        def grouped(values, *tail):
            return tf.reshape(values, [-1, group_size, *tail])

        return self.best_of_groups(
            grouped(boxes, 4),
            grouped(scores),
            grouped(labels),
            grouped(valid),
            num_groups=num_groups,
        )

    def best_of_groups(self, boxes, scores, labels, valid, *, num_groups):
        """Suppresses overlaps within each group, and keeps the best of an image's.

        Args:
            boxes: float32 [B * groups, n, 4].
            scores: float32 [B * groups, n].
            labels: int32 [B * groups, n].
            valid: bool [B * groups, n]; rows that are False are never kept.
            num_groups: of an image.

        Returns:
            `Detections` of B images.
        """
        most, rows = self.detections.max_per_image, boxes.shape[1]
        candidates = boxes, scores, valid
        settings: dict[str, Any] = {
            "max_outputs": most if rows is None else min(most, rows),
            "iou_threshold": self.detections.nms_iou,
            "plus_one": self.conventions.plus_one,
            "unroll": self.unroll,
        }
        if self.detections.suppression == "soft":
            index, scores, kept = soft_non_max_suppression(*candidates, **settings)
            labels = tf.gather(labels, index, batch_dims=1)
            kept &= scores > self._thresholds_of(labels)
        else:
            index, kept = non_max_suppression(
                *candidates, **settings, for_xla=self.for_xla
            )
            scores = tf.gather(scores, index, batch_dims=1)
            labels = tf.gather(labels, index, batch_dims=1)
        boxes, scores = (
            tf.gather(boxes, index, batch_dims=1),
            tf.where(kept, scores, -1.0),
        )
        return self._best_of_all_groups(boxes, scores, labels, num_groups)

    def _thresholds(self):
        """Returns the scores that boxes must exceed: one, or float32 [K, 1]."""
        least, own = self.detections.score_threshold, self.detections.class_thresholds
        return tf.maximum(tf.constant(own), least)[:, tf.newaxis] if own else least

    def _thresholds_of(self, labels):
        """Returns the scores that boxes of labels, int32 [...], must exceed."""
        thresholds = self._thresholds()
        if isinstance(thresholds, float):
            return thresholds
        return tf.gather(thresholds[:, 0], labels)

    def refine(self, proposal_boxes, deltas, image_sizes, num_classes):
        """Returns float32 [B, P, K, 4], the boxes of each class; see `call`."""
        if deltas.shape[2] > 1:
            deltas = deltas[:, :, 1:]
        boxes = decode_boxes(
            deltas,
            proposal_boxes[:, :, tf.newaxis],
            stds=self.roi.delta_stds,
            plus_one=self.conventions.plus_one,
            max_log_scale=self.conventions.max_log_scale,
        )
        num_proposals, num_sets = boxes.shape[1], boxes.shape[2]
        boxes = tf.reshape(boxes, [-1, num_proposals * num_sets, 4])
        if self.conventions.clip != "none":
            boxes = clip_to_image(
                boxes,
                image_sizes,
                plus_one=self.conventions.plus_one,
                own_side=self.conventions.clip == "own_side",
            )
        boxes = tf.reshape(boxes, [-1, num_proposals, num_sets, 4])
        return tf.repeat(boxes, num_classes // num_sets, axis=2)

    def _best_of_all_groups(self, boxes, scores, labels, num_groups):
        """Merges [B * groups, n] separately suppressed rows into `Detections`."""
        num_rows = num_groups * scores.shape[1]
        missing = max(self.detections.max_per_image - num_rows, 0)
        scores = tf.reshape(scores, [-1, num_rows])
        scores = tf.pad(scores, [[0, 0], [0, missing]], constant_values=-1.0)
        boxes = tf.reshape(boxes, [-1, num_rows, 4])
        boxes = tf.pad(boxes, [[0, 0], [0, missing], [0, 0]])
        labels = tf.pad(tf.reshape(labels, [-1, num_rows]), [[0, 0], [0, missing]])
        scores, index = tf.math.top_k(scores, self.detections.max_per_image)
        valid = scores >= 0.0
        boxes = tf.gather(boxes, index, batch_dims=1)
        return Detections(
            boxes=tf.where(valid[..., tf.newaxis], boxes, 0.0),
            scores=tf.where(valid, scores, 0.0),
            labels=tf.where(valid, tf.gather(labels, index, batch_dims=1), -1),
            valid=valid,
        )

    def get_config(self):
        """Returns the constructor's arguments."""
        return super().get_config() | settings_config(
            detections=self.detections, roi=self.roi, conventions=self.conventions
        )
