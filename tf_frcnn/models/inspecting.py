"""All boxes of a batch between its anchors and its detections."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_frcnn.config import DetectionSettings
from tf_frcnn.evaluation.misses import Inspection, Limits
from tf_frcnn.layers import DetectionLayer
from tf_frcnn.models.batch import Batch, canvas_size, in_file, with_defaults
from tf_frcnn.models.faster_rcnn import FasterRCNN
from tf_frcnn.structures import Candidates, Detections, Proposals


class InspectedBatch(NamedTuple):
    """The boxes of a batch; all of continuous corners in pixels of the file.

    Attributes:
        anchors: float32 [B, N, 4].
        valid: bool [B, N], False for cells of the canvas padding.
        candidates: what the RPN makes of them.
        proposals: those of inference.
        proposals_in_training: as many as training has.
        scores: float32 [B, P, K + 1], of the classes, background first.
        boxes: float32 [B, P, K, 4], as the RoI head refines them for each class.
        detections: the result.
        trials: those with the other settings that were asked for.
    """

    anchors: tf.Tensor
    valid: tf.Tensor
    candidates: Candidates
    proposals: Proposals
    proposals_in_training: Proposals
    scores: tf.Tensor
    boxes: tf.Tensor
    detections: Detections
    trials: list[Detections]


def inspector(
    model: FasterRCNN, trials: Sequence[DetectionSettings] = ()
) -> Callable[[Batch], InspectedBatch]:
    """Returns a function that detects objects in a batch and tells how it found them.

    Args:
        model: the detector.
        trials: other settings of the detections that are tried as well.
    """
    head = model.roi_head
    layers = [
        DetectionLayer(settings, head.roi, head.conventions) for settings in trials
    ]
    return lambda inputs: _inspect(model, inputs, layers)


def _inspect(
    model: FasterRCNN, inputs: Batch, trials: Sequence[DetectionLayer]
) -> InspectedBatch:
    batch = with_defaults(inputs)
    canvas, rpn, head = canvas_size(batch), model.rpn, model.roi_head
    features = model.features(batch)
    state = rpn(features, batch["image_sizes"], canvas)
    proposals = rpn.propose(state, batch)
    judged = head.judge(features, proposals, batch, canvas)
    boxes, logits, deltas = judged
    found = head.detect(*judged, batch)
    candidates = rpn.proposal_layer.before_suppression(
        state.outputs, state.anchors, batch["image_sizes"], batch["scales"]
    )

    def continuous(boxes):
        """Returns boxes of the RPN as those of the file."""
        last_pixel = [0.0, 0.0, 1.0, 1.0] if rpn.conventions.plus_one else [0.0] * 4
        return in_file(boxes, batch) + tf.constant(last_pixel)

    return InspectedBatch(
        continuous(state.anchors.boxes[tf.newaxis]),
        state.anchors.valid,
        candidates._replace(boxes=continuous(candidates.boxes)),
        rpn.in_file(proposals, batch),
        rpn.in_file(rpn.propose(state, batch, training=True), batch),
        tf.nn.softmax(logits),
        head.refined_boxes(boxes, deltas, batch),
        found,
        [head.detect(*judged, batch, layer) for layer in trials],
    )


def limits_of(model: FasterRCNN) -> Limits:
    """Returns the limits by which a model keeps boxes and an evaluation judges them."""
    proposals = model.rpn.proposal_layer.proposals
    own = model.roi_head.detections
    return Limits(
        iou=model.settings.evaluation.iou,
        proposal_nms=proposals.nms_iou if proposals.test_nms else None,
        score=own.score_threshold,
        nms=own.nms_iou,
        class_agnostic=own.class_agnostic_nms,
        min_size=own.min_size,
    )


def inspections_of(batch: InspectedBatch) -> list[Inspection]:
    """Returns the boxes of each image of a batch of arrays, without padded rows."""
    return [_of_image(batch, row) for row in range(len(batch.scores))]


def _of_image(batch: InspectedBatch, row: int) -> Inspection:
    anchors, proposed = batch.valid[row], batch.proposals.valid[row]
    found = batch.detections.valid[row]

    def rows(values: np.ndarray, valid: np.ndarray) -> np.ndarray:
        return values[row][valid]

    return Inspection(
        anchors=rows(batch.anchors, anchors),
        rpn_boxes=rows(batch.candidates.boxes, anchors),
        large=rows(batch.candidates.large, anchors),
        entered=rows(batch.candidates.entered, anchors),
        proposals=rows(batch.proposals.boxes, proposed),
        scores=rows(batch.scores, proposed),
        boxes=rows(batch.boxes, proposed),
        detected_boxes=rows(batch.detections.boxes, found),
        detected_labels=rows(batch.detections.labels, found),
    )
