"""The figures of a report, as JSON can hold them."""

from typing import Any, NamedTuple

import numpy as np

from tf_frcnn.doctor.sizes import BAND_EDGES
from tf_frcnn.evaluation import (
    DetectedBoxes,
    GroundTruth,
    Judgement,
    evaluate_by_size,
    evaluate_coco,
    evaluate_voc,
)
from tf_frcnn.evaluation.confusion import confusion_matrix
from tf_frcnn.evaluation.operating_points import (
    OperatingPoint,
    at_precision,
    best_f1,
    calibration_error,
    operating_points,
    reliability,
)
from tf_frcnn.report.observing import Observed

_IOUS = np.arange(50, 100, 5) / 100
# Points of a curve: more cannot be told apart where they are drawn.
_POINTS = 150
# Pairs of classes that are listed.
_PAIRS = 20


class Thresholds(NamedTuple):
    """Score thresholds of each class; None where there is no such threshold.

    Attributes:
        best_f1: K points of the highest F1.
        at_precision: K points of the highest recall with the precision asked for.
    """

    best_f1: list[OperatingPoint | None]
    at_precision: list[OperatingPoint | None]


def thresholds_of(
    truth: GroundTruth,
    found: DetectedBoxes,
    judged: Judgement,
    num_classes: int,
    precision: float,
) -> Thresholds:
    """Chooses thresholds on the data that the detections are of.

    Args:
        truth: the objects.
        found: the detections.
        judged: of these.
        num_classes: K.
        precision: that is asked for.
    """
    countable = ~truth.difficult & ~truth.crowd
    numbers = np.bincount(truth.labels[countable], minlength=num_classes)
    points = [
        operating_points(found, judged, label, int(numbers[label]))
        for label in range(num_classes)
    ]
    return Thresholds(
        [best_f1(own) for own in points],
        [at_precision(own, precision) for own in points],
    )


def used_scores(
    found: DetectedBoxes, points: list[OperatingPoint | None]
) -> np.ndarray:
    """Returns bool [n], which detections reach the threshold of their class."""
    limits = np.array([np.inf if p is None else p.threshold for p in points])
    return found.scores >= limits[found.labels]


def class_rows(
    seen: Observed,
    class_names: tuple[str, ...],
    thresholds: Thresholds,
    **metric: Any,
) -> list[dict[str, Any]]:
    """Returns average precisions, thresholds and the curve of each class."""
    count = len(class_names)
    result = evaluate_voc(seen.truth, seen.found, count, **metric)
    by_iou = [
        evaluate_voc(
            *seen[:2], count, **metric | {"metric": "area", "iou_threshold": iou}
        ).average_precisions
        for iou in _IOUS
    ]
    points = zip(thresholds.best_f1, thresholds.at_precision, strict=True)
    return [
        {
            "name": class_names[label],
            "objects": int(result.num_objects[label]),
            "ap": float(result.average_precisions[label]),
            "ap_by_iou": {
                f"{iou:.2f}": float(own[label])
                for iou, own in zip(_IOUS, by_iou, strict=True)
            },
            "best_f1": best and best._asdict(),
            "at_precision": precise and precise._asdict(),
            "curve": _curve(result.recalls[label], result.precisions[label]),
        }
        for label, (best, precise) in enumerate(points)
    ]


def _curve(recalls: np.ndarray, precisions: np.ndarray) -> dict[str, list[float]]:
    """Returns the points to draw: of each recall that of the highest precision."""
    rows = np.flatnonzero(np.diff(recalls, prepend=0.0) > 0)
    if len(rows) > _POINTS:
        rows = rows[np.linspace(0, len(rows) - 1, _POINTS).round().astype(int)]
    return {
        "recall": np.round(recalls[rows], 4).tolist(),
        "precision": np.round(precisions[rows], 4).tolist(),
    }


def size_rows(seen: Observed, num_classes: int) -> dict[str, list[dict[str, Any]]]:
    """Returns figures by size, in pixels of the files and of the network's images."""
    factors = np.tile(seen.scales, 2)
    truth, found = seen.truth, seen.found
    scaled = (
        truth._replace(boxes=truth.boxes * factors[truth.image_index]),
        found._replace(boxes=found.boxes * factors[found.image_index]),
    )
    tables = {"file": (truth, found), "network": scaled}
    limits = zip([0, *BAND_EDGES], [*BAND_EDGES, None], strict=True)
    names = [{"from": low, "to": high} for low, high in limits]
    return {
        name: [
            sides | result._asdict()
            for sides, result in zip(
                names, evaluate_by_size(*pair, num_classes, BAND_EDGES), strict=True
            )
            if result.num_objects
        ]
        for name, pair in tables.items()
    }


def coco_numbers(seen: Observed, num_classes: int) -> dict[str, float]:
    """Returns COCO's twelve figures."""
    numbers = evaluate_coco(seen.truth, seen.found, num_classes)._asdict()
    return {name: v for name, v in numbers.items() if not name.startswith("class_")}


def calibration(found: DetectedBoxes, judged: Judgement) -> dict[str, Any]:
    """Returns detections by score, how many are right, and the mean difference."""
    bins = reliability(found, judged)
    filled = [own._asdict() for own in bins if own.number]
    return {"error": calibration_error(bins), "bins": filled}


def confusions(
    seen: Observed,
    class_names: tuple[str, ...],
    points: list[OperatingPoint | None],
    iou: float,
) -> dict[str, Any]:
    """Returns the confusion matrix from the threshold of each class on."""
    used = used_scores(seen.found, points)
    found = DetectedBoxes(*(column[used] for column in seen.found))
    matrix = confusion_matrix(seen.truth, found, len(class_names), iou)
    names = [*class_names, "background"]
    wrong = np.where(np.eye(len(names), dtype=bool), 0, matrix)[:-1, :-1]
    order = np.argsort(-wrong, axis=None, kind="stable")[:_PAIRS]
    pairs = [np.unravel_index(place, wrong.shape) for place in order]
    return {
        "classes": names,
        "matrix": matrix.tolist(),
        "pairs": [
            {"object": names[i], "detection": names[j], "number": int(wrong[i, j])}
            for i, j in pairs
            if wrong[i, j]
        ],
    }
