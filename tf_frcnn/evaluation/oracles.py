"""What faults of a detector cost, by mending them alone."""

from typing import Any

import numpy as np

from tf_frcnn.evaluation.overlaps import DetectedBoxes, GroundTruth
from tf_frcnn.evaluation.voc import evaluate_voc


def cost_of_misses(
    truth: GroundTruth,
    found: DetectedBoxes,
    missed: np.ndarray,
    num_classes: int,
    **metric: Any,
) -> float:
    """Returns by how much the mAP would rise if some objects were found.

    Each gets a detection of its box and class whose score is above all others; wrong
    detections stay. So it is the most that can be won there. The costs of several
    causes do not add up to the whole.

    Args:
        truth: the objects.
        found: the detections.
        missed: int [m], rows of the objects.
        num_classes: K.
        **metric: keyword arguments of `evaluate_voc`.

    Source: the oracles of Bolya et al. 2020 (TIDE), section 2.3, which leave such
        objects out; a class of which nothing is found would then count no longer.
    """
    best = found.scores.max(initial=0.0) + 1.0
    added = DetectedBoxes(
        truth.image_index[missed],
        truth.boxes[missed],
        np.full(len(missed), best),
        truth.labels[missed],
    )
    columns = zip(added, found, strict=True)
    mended = DetectedBoxes(*(np.concatenate(pair) for pair in columns))
    return _gain(truth, found, mended, num_classes, metric)


def cost_of_false_alarms(
    truth: GroundTruth,
    found: DetectedBoxes,
    wrong: np.ndarray,
    num_classes: int,
    **metric: Any,
) -> float:
    """Returns by how much the mAP would rise without some detections.

    Args:
        truth: the objects.
        found: n detections.
        wrong: bool [n], those that are left out.
        num_classes: K.
        **metric: keyword arguments of `evaluate_voc`.

    Source: Bolya et al. 2020 (TIDE), section 2.3.
    """
    mended = DetectedBoxes(*(column[~wrong] for column in found))
    return _gain(truth, found, mended, num_classes, metric)


def _gain(
    truth: GroundTruth,
    found: DetectedBoxes,
    mended: DetectedBoxes,
    num_classes: int,
    metric: dict[str, Any],
) -> float:
    before, after = (
        evaluate_voc(truth, detections, num_classes, **metric).mean
        for detections in (found, mended)
    )
    return after - before
