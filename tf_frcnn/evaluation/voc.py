"""Average precision as in the Pascal VOC challenge."""

from typing import NamedTuple

import numpy as np

from tf_frcnn.evaluation.overlaps import (
    DetectedBoxes,
    GroundTruth,
    best_overlaps,
    check_rows,
)


class VOCResult(NamedTuple):
    """Average precision of each class, and what it was computed from.

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
    """Computes the average precision of each class over all pictures.

    By falling score, each detection is compared with the object of its class and
    picture that it overlaps most. If they overlap enough it is right when it is the
    object's first, wrong when not, and not counted when the object is difficult.

    VOC's files give inclusive pixels, so their boxes need `plus_one`. Continuous
    corners, (xmin - 1, ymin - 1, xmax, ymax) of the file, have the same areas without.

    Args:
        ground_truth: the objects.
        detections: the detections, in the same pixels.
        num_classes: K.
        iou_threshold: IoU that counts as enough.
        metric: "11-point", the mean of the best precision at recalls of at least 0,
            0.1, ... 1; or "area", the area under the falling envelope of precision.
        plus_one: whether sides are xmax - xmin + 1.
        strict: whether the IoU must exceed the threshold, as in tf-faster-rcnn, instead
            of reaching it, as in VOC's own program.
        use_difficult: whether difficult objects count like the others.

    Source: Everingham et al. 2010, section 4.2; VOCdevkit:VOCevaldet.m.
    """
    if metric not in ("11-point", "area"):
        message = f"metric = {metric!r} must be one of 11-point, area."
        raise ValueError(f"evaluate_voc: {message}")
    ground_truth = check_rows(ground_truth, num_classes)
    detections = check_rows(detections, num_classes)
    by_score = np.argsort(-detections.scores, kind="stable")
    detections = detections._make(column[by_score] for column in detections)
    countable = ground_truth.difficult.astype(bool) <= use_difficult
    index, iou = best_overlaps(
        detections.boxes,
        _picture_and_class(detections, num_classes),
        ground_truth.boxes,
        _picture_and_class(ground_truth, num_classes),
        plus_one=plus_one,
    )
    hit = (iou > iou_threshold) if strict else (iou >= iou_threshold)
    hit &= index >= 0
    ignored = hit & ~countable[index]

