"""Score thresholds, and how far scores can be trusted."""

from typing import NamedTuple

import numpy as np

from tf_frcnn.evaluation.overlaps import DetectedBoxes
from tf_frcnn.evaluation.voc import Judgement


class OperatingPoint(NamedTuple):
    """The detections of a class from some score on.

    Attributes:
        threshold: the score, between the last one that is taken and the next.
        precision: share of them that is right.
        recall: share of the class's objects that is found.
        f1: harmonic mean of the two.
    """

    threshold: float
    precision: float
    recall: float
    f1: float


class Reliability(NamedTuple):
    """Detections whose scores lie between two limits.

    Attributes:
        low, high: the limits.
        number: of detections.
        score: mean of their scores; NaN if there is none.
        right: share of them that is right; likewise.
    """

    low: float
    high: float
    number: int
    score: float
    right: float


def operating_points(
    found: DetectedBoxes, judged: Judgement, label: int, num_objects: int
) -> list[OperatingPoint]:
    """Returns the points of all thresholds of a class, the highest first.

    Args:
        found: the detections of all classes.
        judged: of these.
        label: of the class.
        num_objects: that count, of the class.
    """
    rows = np.flatnonzero((found.labels == label) & judged.counted)
    rows = rows[np.argsort(-found.scores[rows], kind="stable")]
    scores = found.scores[rows]
    right = np.cumsum(judged.right[rows])
    below = np.append(scores[1:], 0.0)
    points = []
    for place in np.flatnonzero(scores > below):  # Equal scores are taken together.
        count, hits = place + 1, int(right[place])
        points.append(
            OperatingPoint(
                float((scores[place] + below[place]) / 2),
                hits / count,
                hits / num_objects if num_objects else np.nan,
                2 * hits / (count + num_objects),
            )
        )
    return points


def best_f1(points: list[OperatingPoint]) -> OperatingPoint | None:
    """Returns the point of the highest F1, of equal ones that of the most detections.

    None if no detection is right.
    """
    best = max(points, key=lambda p: (p.f1, -p.threshold), default=None)
    return best if best is not None and best.f1 > 0 else None


def at_precision(
    points: list[OperatingPoint], precision: float
) -> OperatingPoint | None:
    """Returns the point of the highest recall with at least a precision, or None."""
    enough = [p for p in points if p.precision >= precision and p.recall > 0]
    return max(enough, key=lambda p: (p.recall, p.precision), default=None)


def reliability(
    found: DetectedBoxes, judged: Judgement, num_bins: int = 10
) -> list[Reliability]:
    """Returns the detections by their scores, in intervals of equal length."""
    scores, right = found.scores[judged.counted], judged.right[judged.counted]
    place = np.minimum((scores * num_bins).astype(int), num_bins - 1)
    bins = []
    for number in range(num_bins):
        own = place == number
        means = (v[own].mean() if own.any() else np.nan for v in (scores, right))
        limits = number / num_bins, (number + 1) / num_bins
        bins.append(Reliability(*limits, int(own.sum()), *map(float, means)))
    return bins


def calibration_error(bins: list[Reliability]) -> float:
    """Returns the mean difference of scores and shares of right detections.

    Source: Guo et al. 2017, equation 3.
    """
    filled = [b for b in bins if b.number]
    total = sum(b.number for b in filled)
    if not total:
        return np.nan
    return sum(b.number * abs(b.score - b.right) for b in filled) / total
