"""Average precision as in the Pascal VOC challenge."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tf_frcnn.evaluation.overlaps import (
    DetectedBoxes,
    GroundTruth,
    best_overlaps,
    check_rows,
)


class Judgement(NamedTuple):
    """Detections, n of them, as they are judged.

    Attributes:
        hit: int64 [n], row of the object that each reaches, -1 for none.
        right: bool [n], whether it is the object's first.
        counted: bool [n], False where it is neither right nor wrong.
    """

    hit: np.ndarray
    right: np.ndarray
    counted: np.ndarray


class VOCResult(NamedTuple):
    """Average precision of each class, and the curves behind it.

    Attributes:
        average_precisions: float64 [K]; NaN for a class without a countable object.
        mean: mean over the classes that are not NaN; NaN if all are.
        recalls: K arrays, float64: recall after each detection, best score first.
        precisions: K arrays, float64: precision after each detection.
        num_objects: int64 [K], countable objects.
    """

    average_precisions: np.ndarray
    mean: float
    recalls: list[np.ndarray]
    precisions: list[np.ndarray]
    num_objects: np.ndarray


def evaluate_voc(
    ground_truth: GroundTruth,
    detections: DetectedBoxes,
    num_classes: int,
    *,
    iou_threshold: float = 0.5,
    metric: str = "11-point",
    plus_one: bool = False,
    strict: bool = False,
    use_difficult: bool = False,
) -> VOCResult:
    """Computes the average precision of each class over all images.

    In order of falling score, ties in the order of the rows, each detection is compared
    with the object of its class and image that it overlaps most. If they overlap enough
    it is right as the object's first, otherwise wrong, and not counted if the object is
    difficult. A crowd region is no object: what is wrong is not counted either if it
    lies in one of its class, by a share of its own area that would be enough as IoU.

    VOC's files have inclusive pixels, so their boxes need `plus_one`. Continuous
    corners, (xmin - 1, ymin - 1, xmax, ymax) of the file, have the same areas without
    it.

    Args:
        ground_truth: the objects.
        detections: the detections, in the same pixels.
        num_classes: K.
        iou_threshold: IoU that counts as enough.
        metric: a name of `METRICS`: "11-point", the mean of the best precision at
            recalls of at least 0, 0.1, ... 1; or "area", the area under the falling
            envelope of precision.
        plus_one: whether sides are xmax - xmin + 1.
        strict: whether the IoU must exceed the threshold, as in tf-faster-rcnn, instead
            of reaching it, as in VOC's own program.
        use_difficult: whether difficult objects count like the others.

    Source: Everingham et al. 2010, section 4.2; VOCdevkit:VOCevaldet.m; for crowds
        cocodataset/cocoapi:PythonAPI/pycocotools/cocoeval.py.
    """
    if metric not in METRICS:
        raise ValueError(
            f"evaluate_voc: metric = {metric!r} must be one of {', '.join(METRICS)}."
        )
    ground_truth = check_rows(ground_truth, num_classes)
    detections = check_rows(detections, num_classes)
    by_score = np.argsort(-detections.scores, kind="stable")
    detections = DetectedBoxes(*(column[by_score] for column in detections))
    _, right, counted = judge_voc(
        ground_truth,
        detections,
        num_classes,
        iou_threshold=iou_threshold,
        plus_one=plus_one,
        strict=strict,
        use_difficult=use_difficult,
    )
    countable = ~ground_truth.crowd & (~ground_truth.difficult | use_difficult)
    num_objects = np.bincount(ground_truth.labels[countable], minlength=num_classes)
    of_class = [detections.labels == label for label in range(num_classes)]
    curves = [
        _curve(right[rows], counted[rows], n)
        for rows, n in zip(of_class, num_objects, strict=True)
    ]
    average = METRICS[metric]
    precisions = np.array([average(*curve) for curve in curves])
    average_precisions = np.where(num_objects, precisions, np.nan)
    mean = average_precisions[num_objects > 0].mean() if num_objects.any() else np.nan
    return VOCResult(
        average_precisions,
        float(mean),
        recalls=[recall for recall, _ in curves],
        precisions=[precision for _, precision in curves],
        num_objects=num_objects,
    )


def judge_voc(
    ground_truth: GroundTruth,
    detections: DetectedBoxes,
    num_classes: int,
    *,
    iou_threshold: float = 0.5,
    plus_one: bool = False,
    strict: bool = False,
    use_difficult: bool = False,
) -> Judgement:
    """Judges each detection; arguments as of `evaluate_voc`.

    Returns:
        In the order of the detections; `hit` counts the rows of the ground truth.
    """
    truth = check_rows(ground_truth, num_classes)
    found = check_rows(detections, num_classes)
    by_score = np.argsort(-found.scores, kind="stable")
    found = DetectedBoxes(*(column[by_score] for column in found))
    reach = functools.partial(
        _reached, found, num_classes, iou_threshold, strict, plus_one=plus_one
    )
    objects = _part(truth, False)
    index = reach(objects)
    right, counted = _judge(index, ~objects.difficult | use_difficult)
    counted &= right | (reach(_part(truth, True), of_crowds=True) < 0)
    hit = np.append(np.flatnonzero(~truth.crowd), -1)[index]
    place = np.argsort(by_score)
    return Judgement(hit[place], right[place], counted[place])


def _image_and_class(rows: GroundTruth | DetectedBoxes, num_classes: int) -> np.ndarray:
    return rows.image_index * num_classes + rows.labels


def _part(truth: GroundTruth, is_crowd: bool) -> GroundTruth:
    """Returns the crowd regions, or the objects."""
    return GroundTruth(*(column[truth.crowd == is_crowd] for column in truth))


def _reached(
    detections: DetectedBoxes,
    num_classes: int,
    threshold: float,
    strict: bool,
    truth: GroundTruth,
    **measure: bool,
) -> np.ndarray:
    """Returns the row of what each detection overlaps enough, int [n], -1 for none."""
    index, overlap = best_overlaps(
        detections.boxes,
        _image_and_class(detections, num_classes),
        truth.boxes,
        _image_and_class(truth, num_classes),
        **measure,
    )
    return np.where(overlap > threshold if strict else overlap >= threshold, index, -1)


def _judge(index: np.ndarray, countable: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns which detections are right and which are counted at all.

    Args:
        index: int [n], row of the object that each detection hits, -1 for none; the
            detections are in the order of falling scores.
        countable: bool [m], False for difficult objects.
    """
    hits = np.flatnonzero(index >= 0)
    counted = np.ones(len(index), bool)
    counted[hits] = countable[index[hits]]
    hits = hits[counted[hits]]
    right = np.zeros(len(index), bool)
    right[hits[np.unique(index[hits], return_index=True)[1]]] = True
    return right, counted


def _curve(
    right: np.ndarray, counted: np.ndarray, num_objects: int
) -> tuple[np.ndarray, np.ndarray]:
    num_right = np.cumsum(right)
    recall = num_right / num_objects if num_objects else np.full(len(right), np.nan)
    return recall, num_right / np.maximum(np.cumsum(counted), 1)


def _eleven_point(recall: np.ndarray, precision: np.ndarray) -> float:
    # The thresholds of the reference programs: 0.3 is 0.30000000000000004 there.
    thresholds = np.arange(0.0, 1.1, 0.1)
    reached = recall >= thresholds[:, np.newaxis]
    return np.where(reached, precision, 0.0).max(axis=1, initial=0.0).mean()


def _area(recall: np.ndarray, precision: np.ndarray) -> float:
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * envelope))


# The average precision of float64 [n] recalls and precisions, best score first.
METRICS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "11-point": _eleven_point,
    "area": _area,
}
