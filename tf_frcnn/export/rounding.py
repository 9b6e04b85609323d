"""Which differences between two models' detections in one image are of rounding."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tf_frcnn.evaluation import DetectedBoxes
from tf_frcnn.evaluation.overlaps import paired_iou

# How far equal detections may be from each other: pixels of the file, and scores.
MAX_BOX_ERROR, MAX_SCORE_ERROR = 0.5, 1e-3
# How far from the threshold of suppression rounding decides.
_MAX_IOU_ERROR = 1e-3


class Thresholds(NamedTuple):
    """What decides whether a box becomes a detection.

    Attributes:
        scores: float [K], that it must exceed, of each class.
        side: its shortest, in pixels of the file; 0 for no limit.
        iou: with a better one, above which it is suppressed.
        most: detections of an image that are kept.
        across_classes: whether boxes of different classes suppress each other.
        is_soft: whether suppression lowers scores, see `soft_non_max_suppression`.
    """

    scores: np.ndarray
    side: float
    iou: float
    most: int
    across_classes: bool
    is_soft: bool = False


class Differences(NamedTuple):
    """How the detections of an export differ from the original's, in one image.

    Attributes:
        partners: int [n], the export's equal of each of the original; -1 for none.
        missing: bool [n], those of the original that the export lacks, not explained.
        added: bool [m], those that the export alone has, not explained.
        num_accepted: number of those on either side that rounding explains.
    """

    partners: np.ndarray
    missing: np.ndarray
    added: np.ndarray
    num_accepted: int


def find_differences(
    own: DetectedBoxes,
    found: DetectedBoxes,
    thresholds: Thresholds,
    candidates: Callable[[], DetectedBoxes],
) -> Differences:
    """Compares the detections of an export with the original's, in one image.

    Args:
        own: the original's.
        found: the export's.
        thresholds: of both.
        candidates: returns what the original has before suppression. What it does not
            have there, rounding does not bring about.
    """
    partners = find_partners(own, found)
    missing = partners < 0
    added = ~np.isin(np.arange(len(found.scores)), partners)
    num_alone = int(missing.sum() + added.sum())
    lost = _unexplained(own, missing, found, added, thresholds)
    new = _unexplained(found, added, own, missing, thresholds)
    if added.any():
        before = find_partners(found, candidates(), were_lowered=thresholds.is_soft)
        new |= added & (before < 0)
    num_accepted = num_alone - int(lost.sum() + new.sum())
    return Differences(partners, lost, new, num_accepted)


def _unexplained(detections, alone, others, others_alone, thresholds) -> np.ndarray:
    """Returns bool [n], those alone that the others should have, too."""
    unexplained = alone.copy()
    for row in np.flatnonzero(alone).tolist():
        unexplained[row] = not may_be_missing(
            detections, row, others, others_alone, thresholds
        )
    return unexplained


def errors_between(
    detections: DetectedBoxes, others: DetectedBoxes
) -> tuple[np.ndarray, np.ndarray]:
    """Returns how far each detection of one image is from each other one.

    Returns:
        float [n, m], the largest difference of a corner in pixels, and of the scores.
    """
    boxes = np.abs(detections.boxes[:, np.newaxis] - others.boxes).max(axis=2)
    return boxes, np.abs(detections.scores[:, np.newaxis] - others.scores)


def find_partners(
    detections: DetectedBoxes, others: DetectedBoxes, *, were_lowered: bool = False
) -> np.ndarray:
    """Finds for each detection of one image the equal one of another model.

    Each takes the nearest box of its class that is free, the best detection first.

    Args:
        detections: n of them.
        others: of the other model.
        were_lowered: whether the scores of the detections may be less than the others'.

    Returns:
        int [n], rows of the others; -1 for none.
    """
    box_errors, score_errors = errors_between(detections, others)
    if were_lowered:
        score_errors = detections.scores[:, np.newaxis] - others.scores
    is_equal = detections.labels[:, np.newaxis] == others.labels
    is_equal &= (box_errors <= MAX_BOX_ERROR) & (score_errors <= MAX_SCORE_ERROR)
    partners = np.full(len(detections.scores), -1)
    for row, own in enumerate(is_equal):
        if own.any():
            partners[row] = np.where(own, box_errors[row], np.inf).argmin()
            is_equal[:, partners[row]] = False
    return partners


def may_be_missing(
    detections: DetectedBoxes,
    row: int,
    others: DetectedBoxes,
    others_alone: np.ndarray,
    thresholds: Thresholds,
) -> bool:
    """Returns whether rounding explains that another model lacks a detection.

    Its score, its side or its overlap with a better one lies at a threshold; or the
    others are so many that it has no place; or one suppresses it that is missing here.

    Args:
        detections: of one model in one image.
        row: of the detection that the other model lacks.
        others: the other model's.
        others_alone: bool [m], those of the others that are missing here.
        thresholds: of both models.
    """
    box, score, label = (column[row] for column in detections[1:])
    if abs(score - thresholds.scores[label]) <= MAX_SCORE_ERROR:
        return True
    if abs((box[2:] - box[:2]).min() - thresholds.side) <= MAX_BOX_ERROR:
        return True
    is_better = others.scores >= score - MAX_SCORE_ERROR
    if is_better.sum() >= thresholds.most:
        return True
    if not thresholds.across_classes:
        is_better &= others.labels == label
    above = paired_iou(box, others.boxes) - thresholds.iou
    is_decided = above > _MAX_IOU_ERROR
    suppresses = (above >= -_MAX_IOU_ERROR) & (others_alone | ~is_decided)
    return bool((is_better & suppresses).any())
