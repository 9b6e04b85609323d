"""The proposal layer: from the RPN's outputs to the boxes worth a closer look."""

import keras
import tensorflow as tf

from tf_frcnn.ops.box_coder import decode_boxes
from tf_frcnn.ops.boxes import box_sides, clip_to_image
from tf_frcnn.ops.nms import non_max_suppression
from tf_frcnn.structures import Proposals, RPNOutputs


@keras.saving.register_keras_serializable("tf_frcnn")
class ProposalLayer(keras.layers.Layer):
    """Decodes, clips, drops small boxes, keeps the best, suppresses overlaps.

    No gradient flows through the proposals (approximate joint training).

    Args:
        train_counts: boxes kept (before, after) suppression in training.
        test_counts: the same in inference.
        nms_iou: overlap above which the lower score goes.
        min_size: smallest height and width in pixels of the file, multiplied by the
            picture's scale; 0 keeps all.
        plus_one: coding and clipping count inclusive pixels.
        nms_plus_one: suppression does; None means as `plus_one`.

    Source: Ren et al. 2015, section 3.3; tf-faster-rcnn:lib/layer_utils/
        proposal_layer.py; min_size: simple-faster-rcnn-pytorch.
    """

    def __init__(
        self,
        *,
        train_counts: tuple[int, int] = (12000, 2000),
        test_counts: tuple[int, int] = (6000, 300),
        nms_iou: float = 0.7,
        min_size: float = 0.0,
        plus_one: bool = False,
        nms_plus_one: bool | None = None,
        **kwargs,
    ):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.train_counts, self.test_counts = tuple(train_counts), tuple(test_counts)
        self.nms_iou, self.min_size = nms_iou, min_size
        self.plus_one, self.nms_plus_one = plus_one, nms_plus_one

    def call(
        self, rpn: RPNOutputs, anchors, anchor_valid, image_sizes, scales, training=None
    ):
        """Makes proposals.

        Args:
            rpn: scores float32 [B, N] and deltas float32 [B, N, 4] are used.
            anchors: float32 [N, 4], pixels.
            anchor_valid: bool [B, N], the anchors of the picture's cells.
            image_sizes: float32 [B, 2], (height, width) of each picture in pixels.
            scales: float32 [B, 2], network pixels per file pixel along y and x.
            training: chooses the counts.

        Returns:
            `Proposals`; P is the count after suppression.
        """
        num_before, num_after = self.train_counts if training else self.test_counts
        rpn = tf.nest.map_structure(tf.stop_gradient, rpn)
        boxes = decode_boxes(rpn.deltas, anchors, plus_one=self.plus_one)
        boxes = clip_to_image(boxes, image_sizes, plus_one=self.plus_one)
        valid = anchor_valid & self._large_enough(boxes, scales)

        scores = tf.where(valid, rpn.scores, -1.0)
        num_before = tf.minimum(num_before, tf.shape(scores)[1])
        scores, index = tf.math.top_k(scores, num_before)
        boxes = tf.gather(boxes, index, batch_dims=1)
        index, kept = non_max_suppression(
            boxes,
            scores,
            scores >= 0.0,
            max_outputs=num_after,
            iou_threshold=self.nms_iou,
            plus_one=self.plus_one if self.nms_plus_one is None else self.nms_plus_one,
        )
        return Proposals(
            boxes=tf.where(
                kept[..., tf.newaxis], tf.gather(boxes, index, batch_dims=1), 0.0
            ),
            scores=tf.where(kept, tf.gather(scores, index, batch_dims=1), 0.0),
            valid=kept,
        )

    def _large_enough(self, boxes, scales):
        smallest = self.min_size * scales[:, tf.newaxis]
        heights, widths = box_sides(boxes, plus_one=self.plus_one)
        return (heights >= smallest[..., 0]) & (widths >= smallest[..., 1])

    def get_config(self):
        """Returns the constructor's arguments."""
        return super().get_config() | {
            "train_counts": self.train_counts,
            "test_counts": self.test_counts,
            "nms_iou": self.nms_iou,
            "min_size": self.min_size,
            "plus_one": self.plus_one,
            "nms_plus_one": self.nms_plus_one,
        }
