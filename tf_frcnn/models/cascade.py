"""Heads one after the other, each on the boxes of the one before."""

import contextlib
from collections.abc import Sequence

import keras
import tensorflow as tf

from tf_frcnn.models.batch import Batch
from tf_frcnn.models.roi_head import RoIHead
from tf_frcnn.models.seeds import Seeds, seeds_of_head
from tf_frcnn.models.step_figures import uncollected
from tf_frcnn.structures import Proposals

_LEAST_SCORE = 1e-30


@keras.saving.register_keras_serializable("tf_frcnn")
class CascadeHead(RoIHead):
    """A RoI head, and later ones that refine its boxes for objects of higher IoU.

    In training each head's refined RoIs are what the next one samples from; its loss
    counts half as much as that of the head before. Hard examples are sought, and the
    figures of a step are told, for the first head. Detections have the boxes of the
    last head and the mean of all heads' scores.

    The arguments are those of `RoIHead`; `roi.cascade_ious` has the IoU of each later
    head, whose `roi.delta_stds` are those of the first divided by its number.

    Attributes:
        later: the heads after the first, which is this one.

    Source: Cai and Vasconcelos 2018 (Cascade R-CNN), sections 4.1 and 4.3; MMDetection
        for the weights of the losses, Detectron2 for the mean of the scores, and for
        boxes through which the head before learns nothing.
    """

    def __init__(
        self,
        num_classes: int,
        box_head: keras.layers.Layer,
        strides: Sequence[int] = (16,),
        **kwargs,
    ):
        super().__init__(num_classes, box_head, strides, **kwargs)
        own = keras.saving.serialize_keras_object(box_head)
        self.later = [
            self._later_head(number, iou, own)
            for number, iou in enumerate(self.roi.cascade_ious, start=2)
        ]

    def _later_head(self, number, iou, box_head):
        roi = self.roi.replace(
            cascade_ious=(),
            foreground_iou=iou,
            background_iou_high=iou,
            delta_stds=tuple(std / number for std in self.roi.delta_stds),
        )
        if roi.hard_examples is not None:
            roi = roi.replace(
                hard_examples=None,
                num_samples=roi.hard_examples,
                foreground_fraction=1.0,
            )
        name = f"roi_head_{number}"
        # By their paths the weights of a network within the box head are told apart.
        with keras.name_scope(name):
            box_head = keras.saving.deserialize_keras_object(box_head)
        head = RoIHead(
            self.num_classes,
            box_head,
            self.pooling.strides,
            roi=roi,
            detections=self.detections,
            loss=self.loss,
            conventions=self.conventions,
            name=name,
            dtype=self.dtype_policy,
        )
        head.pooling = self.pooling
        return head

    def heads(self):
        """Returns all heads, in their order."""
        return [self, *self.later]

    def build(self, features_shape):
        """Creates the weights of all heads for maps of shape [B, h, w, C]."""
        super().build(features_shape)
        for head in self.later:
            head.build(features_shape)

    def judge(self, features, proposals, batch, canvas):
        """Classifies proposals head by head; see `RoIHead`."""
        last: RoIHead = self
        logits, deltas = last(features, proposals, canvas)
        scores = [tf.nn.softmax(logits)]
        for head in self.later:
            proposals = _refined(last, proposals, deltas, batch)
            logits, deltas = head(features, proposals, canvas)
            scores.append(tf.nn.softmax(logits))
            last = head
        mean = tf.add_n(scores) / len(scores)
        logits = tf.math.log(tf.maximum(mean, _LEAST_SCORE))
        # As deltas of the first head, whose detection layer decodes them.
        ratio = tf.constant(last.roi.delta_stds) / tf.constant(self.roi.delta_stds)
        return proposals, logits, deltas * ratio

    def learn(self, features, proposals, batch, canvas, seeds: Seeds, *, training):
        """Computes the weighted sums of all heads' losses; see `RoIHead`."""
        sums = {"roi_class_loss": 0.0, "roi_box_loss": 0.0}
        for number, head in enumerate(self.heads()):
            own = seeds_of_head(seeds, number)
            with uncollected() if number else contextlib.nullcontext():
                rois = head.targets(features, proposals, batch, canvas, own.roi)
                logits, deltas = head(
                    features, rois, canvas, seed=own.dropout, training=training
                )
                losses = head.losses_of(
                    logits, deltas, rois, batch.get("image_weights")
                )
            sums = {name: sums[name] + losses[name] / 2**number for name in sums}
            valid = rois.labels >= 0
            proposals = Proposals(
                rois.boxes, tf.cast(valid, tf.float32), valid, rois.levels
            )
            proposals = _refined(head, proposals, deltas, batch)
        return sums


def _refined(head: RoIHead, proposals: Proposals, deltas, batch: Batch) -> Proposals:
    """Returns proposals whose boxes are as a head refines them."""
    boxes = head.detection_layer.refine(
        proposals.boxes, deltas, batch["image_sizes"], 1
    )
    boxes = tf.where(proposals.valid[..., tf.newaxis], boxes[:, :, 0], 0.0)
    return proposals._replace(boxes=tf.stop_gradient(boxes))
