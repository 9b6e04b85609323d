"""The stage of the network that lost an object which no detection matches.

Letters: N anchors of an image, P proposals, K classes, D detections, m objects. All
boxes are (ymin, xmin, ymax, xmax) in pixels of one image, the file's.
"""

from typing import NamedTuple

import numpy as np

from tf_frcnn.evaluation.overlaps import paired_iou

# In the order in which an image passes through them.
STAGES = (
    "anchor",
    "rpn_box",
    "min_size",
    "rpn_rank",
    "rpn_nms",
    "rpn_count",
    "background",
    "class",
    "box",
    "score",
    "nms",
    "count",
)


class Inspection(NamedTuple):
    """All boxes of an image between its anchors and its detections.

    Attributes:
        anchors: float [N, 4], of the cells that the image has.
        rpn_boxes: float [N, 4], the anchors as the RPN refines them.
        large: bool [N], whether these are as wide and high as proposals must be.
        entered: bool [N], whether they are among the best, which enter the RPN's
            non-maximum suppression.
        proposals: float [P, 4], what the RoI head was given.
        scores: float [P, K + 1], of its classes, background first.
        boxes: float [P, K, 4], as it refines them for each class.
        detected_boxes: float [D, 4], the detections.
        detected_labels: int [D] in 0..K-1.
    """

    anchors: np.ndarray
    rpn_boxes: np.ndarray
    large: np.ndarray
    entered: np.ndarray
    proposals: np.ndarray
    scores: np.ndarray
    boxes: np.ndarray
    detected_boxes: np.ndarray
    detected_labels: np.ndarray


class Limits(NamedTuple):
    """The limits of the stages.

    Attributes:
        iou: from which a box lies on an object, as in the evaluation.
        proposal_nms: IoU of the RPN's suppression; None where there is none.
        score: which a detection must exceed.
        nms: IoU of the final suppression.
        class_agnostic: whether that one is across classes.
        min_size: shortest side of a detection in pixels.
    """

    iou: float
    proposal_nms: float | None
    score: float
    nms: float
    class_agnostic: bool = False
    min_size: float = 0.0


def stage_of_miss(
    image: Inspection, box: np.ndarray, label: int, limits: Limits
) -> str:
    """Returns the first stage, of `STAGES`, that lost an object.

    An object is followed from the end, because a later stage can mend an earlier one: a
    proposal beside an object may be moved onto it. It was lost

    - "nms", "count": with a box of its class on it, of a sufficient score, which the
      final suppression took, or which was not among the best of the image;
    - "box": with a score of its class that is sufficient, but no such box on it, or
      one that counts for a neighbour, which it covers more;
    - "score", "min_size": with such a box, the class being the likeliest, by the limit
      of the score, or of the sides (also those of proposals);
    - "background", "class": with a proposal on it that the RoI head took for
      background, or for another class;
    - "anchor": without a proposal on it, no anchor reaching it;
    - "rpn_box": likewise, the RPN moving all anchors away from it;
    - "rpn_rank", "rpn_nms", "rpn_count": likewise, all boxes on it being below the
      best that enter the RPN's suppression, suppressed there, or below the best that
      leave it.

    Args:
        image: its boxes.
        box: float [4], of an object that no detection matches.
        label: its class, in 0..K-1.
        limits: of the stages.
    """
    own, scores = image.boxes[:, label], image.scores[:, label + 1]
    reaches = _iou(own, box) >= limits.iou
    sides = (own[:, 2:] - own[:, :2]).min(axis=1, initial=np.inf)
    passes = reaches & (scores > limits.score) & (sides >= limits.min_size)
    if passes.any():
        return _at_the_end(image, own[passes], label, limits)
    winners = image.scores.argmax(axis=1) if len(scores) else np.zeros(0, int)
    on_it = _iou(image.proposals, box) >= limits.iou
    on_it |= reaches & (winners == label + 1)
    if not on_it.any():
        return _before_the_head(image, box, limits)
    near = on_it & reaches
    best = np.where(near if near.any() else on_it, scores, -1.0).argmax()
    if scores[best] > limits.score:
        return "min_size" if near.any() else "box"
    if winners[best] == label + 1:
        return "score" if near.any() else "box"
    return "class" if winners[best] else "background"


def _at_the_end(
    image: Inspection, boxes: np.ndarray, label: int, limits: Limits
) -> str:
    """Returns the stage of an object with boxes, [n, 4], that might be detections."""
    same_class = image.detected_labels == label
    is_kept = _overlaps(boxes, image.detected_boxes[same_class]) > 1 - 1e-5
    if is_kept.all():
        return "box"
    others = image.detected_boxes
    if not limits.class_agnostic:
        others = others[same_class]
    suppressed = _overlaps(boxes[~is_kept], others) > limits.nms
    return "nms" if suppressed.all() else "count"


def _before_the_head(image: Inspection, box: np.ndarray, limits: Limits) -> str:
    """Returns the stage of an object that no proposal lies on."""
    if not (_iou(image.anchors, box) >= limits.iou).any():
        return "anchor"
    near = _iou(image.rpn_boxes, box) >= limits.iou
    if not near.any():
        return "rpn_box"
    if not (near & image.large).any():
        return "min_size"
    near &= image.entered
    if not near.any():
        return "rpn_rank"
    # A box that the suppression reached and did not keep overlaps one that it kept.
    overlaps = _overlaps(image.rpn_boxes[near], image.proposals)
    most = np.inf if limits.proposal_nms is None else limits.proposal_nms
    return "rpn_nms" if (overlaps > most).all() else "rpn_count"


def _iou(boxes: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Returns float [n], IoU of each box with one."""
    return paired_iou(boxes, box)


def _overlaps(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Returns float [n], the largest IoU of each box with any of the others."""
    return paired_iou(boxes[:, np.newaxis], others).max(axis=1, initial=0.0)
