"""Average precision and recall as in the COCO challenge."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tf_frcnn.evaluation.coco_matching import (
    AREAS,
    MAX_DETECTIONS,
    Judged,
    judge_image,
)
from tf_frcnn.evaluation.overlaps import DetectedBoxes, GroundTruth, check_rows

# The name of `ap` as the metric of a configuration.
COCO_METRIC = "coco"
_RECALLS = np.linspace(0.0, 1.0, 101)


class COCOResult(NamedTuple):
    """COCO's numbers; NaN where no object counts.

    Attributes:
        ap: mean over classes and IoU thresholds 0.5, 0.55, ... 0.95.
        ap50: the same at IoU 0.5.
        ap75: the same at IoU 0.75.
        ap_small: `ap` of objects of less than 32^2 pixels.
        ap_medium: `ap` of those between.
        ap_large: `ap` of those of more than 96^2 pixels.
        ar1: recall of the best detection per image and class, averaged like `ap`.
        ar10: recall of the best 10.
        ar100: recall of the best 100.
        ar_small: `ar100` of small objects.
        ar_medium: `ar100` of medium objects.
        ar_large: `ar100` of large objects.
        class_ap: float64 [K], `ap` of each class.
        class_ap50: float64 [K], `ap50` of each class.
    """

    ap: float
    ap50: float
    ap75: float
    ap_small: float
    ap_medium: float
    ap_large: float
    ar1: float
    ar10: float
    ar100: float
    ar_small: float
    ar_medium: float
    ar_large: float
    class_ap: np.ndarray
    class_ap50: np.ndarray


def evaluate_coco(
    ground_truth: GroundTruth,
    detections: DetectedBoxes,
    num_classes: int,
    *,
    use_difficult: bool = False,
) -> COCOResult:
    """Computes COCO's numbers for boxes.

    The area of an object is that of its box; COCO's own files state that of its
    outline, so that the numbers by size, and no others, may differ a little.

    Args:
        ground_truth: the objects.
        detections: the detections, in the same pixels.
        num_classes: K.
        use_difficult: whether difficult objects count like the others; otherwise they
            are crowds, which may be found or not.

    Source: cocodataset/cocoapi:PythonAPI/pycocotools/cocoeval.py.
    """
    judged = _judge(ground_truth, detections, num_classes, AREAS, use_difficult)
    precisions = np.stack([_precisions(own) for own in judged])  # [K, A, T, 101]
    recalls = {
        limit: np.stack([_recalls(own, limit) for own in judged])  # [K, A, T]
        for limit in (1, 10, MAX_DETECTIONS)
    }
    by_area = [recalls[MAX_DETECTIONS][:, area] for area in range(len(AREAS))]
    of_all = precisions[:, 0]
    numbers = [of_all, of_all[:, 0], of_all[:, 5], *precisions.swapaxes(0, 1)[1:]]
    numbers += [recalls[1][:, 0], recalls[10][:, 0], *by_area]
    class_ap, class_ap50 = of_all.mean(axis=(1, 2)), of_all[:, 0].mean(axis=1)
    return COCOResult._make([*map(_mean, numbers), class_ap, class_ap50])


class SizeResult(NamedTuple):
    """The objects of a range of sizes.

    Attributes:
        num_objects: their number.
        ap: mean over classes and IoU thresholds, as in `COCOResult`; NaN without any.
        ap50: the same at IoU 0.5.
        recall50: share of them that is found at IoU 0.5, mean of the classes.
    """

    num_objects: int
    ap: float
    ap50: float
    recall50: float


def evaluate_by_size(
    ground_truth: GroundTruth,
    detections: DetectedBoxes,
    num_classes: int,
    sides: Sequence[float],
) -> list[SizeResult]:
    """Computes average precisions of objects by their sizes.

    As COCO does, a range leaves out the objects of other sizes, the detections of these
    objects, and those detections of nothing that are of another size.

    Args:
        ground_truth: the objects.
        detections: the detections, in the same pixels.
        num_classes: K.
        sides: limits between the ranges, roots of areas in pixels, which rise.

    Returns:
        One more than there are limits.
    """
    limits = np.square([0.0, *sides, 1e5])
    # COCO's ranges have both of their limits; an object is to be in one range.
    areas = np.stack([limits[:-1], np.nextafter(limits[1:], 0)], axis=1)
    judged = _judge(ground_truth, detections, num_classes, areas, False)
    precisions = np.stack([_precisions(own) for own in judged])
    recalls = np.stack([_recalls(own, MAX_DETECTIONS) for own in judged])
    counts = np.sum([own.num_objects for own in judged], axis=0)
    return [
        SizeResult(
            int(counts[area]),
            _mean(precisions[:, area]),
            _mean(precisions[:, area, 0]),
            _mean(recalls[:, area, 0]),
        )
        for area in range(len(areas))
    ]


def _judge(
    ground_truth: GroundTruth,
    detections: DetectedBoxes,
    num_classes: int,
    areas: np.ndarray,
    use_difficult: bool,
) -> list[Judged]:
    """Returns the detections of each class."""
    truth = check_rows(ground_truth, num_classes)
    found = check_rows(detections, num_classes)
    crowd = truth.crowd | (truth.difficult & (not use_difficult))
    truth = truth._replace(crowd=crowd)
    return [_judge_class(truth, found, label, areas) for label in range(num_classes)]


def _judge_class(
    truth: GroundTruth, found: DetectedBoxes, label: int, areas: np.ndarray
) -> Judged:
    """Judges the detections of a class, image by image."""
    objects, own = np.flatnonzero(truth.labels == label), found.labels == label
    objects = objects[np.argsort(truth.image_index[objects], kind="stable")]
    rows = np.flatnonzero(own)
    rows = rows[np.argsort(found.image_index[rows], kind="stable")]
    sorted_images = truth.image_index[objects], found.image_index[rows]
    images = np.union1d(*sorted_images)
    starts = [np.searchsorted(own, images, side="left") for own in sorted_images]
    ends = [np.searchsorted(own, images, side="right") for own in sorted_images]
    parts = [
        judge_image(
            found.boxes[rows[first:last]],
            found.scores[rows[first:last]],
            truth.boxes[objects[start:end]],
            truth.crowd[objects[start:end]],
            areas,
        )
        for start, first, end, last in zip(*starts, *ends, strict=True)
    ]
    return _joined(parts, areas)


def _joined(parts: list[Judged], areas: np.ndarray) -> Judged:
    """Returns the detections of all images, best first."""
    nothing = np.zeros([0, 4])
    none = nothing, nothing[:, 0], nothing, nothing[:, 0] > 0
    parts = parts or [judge_image(*none, areas)]
    columns = [np.concatenate(column, axis=-1) for column in zip(*parts, strict=True)]
    order = np.argsort(-columns[0], kind="stable")
    num_objects = np.sum([part.num_objects for part in parts], axis=0)
    by_detection = (column[..., order] for column in columns[:4])
    return Judged._make([*by_detection, num_objects])


def _precisions(judged: Judged) -> np.ndarray:
    """Returns float64 [A, T, 101], the best precision at each recall or above.

    NaN where there is no object.
    """
    right = judged.right.cumsum(axis=-1)
    precision = right / np.maximum(judged.counted.cumsum(axis=-1), 1)
    envelope = np.maximum.accumulate(precision[..., ::-1], axis=-1)[..., ::-1]
    envelope = np.append(envelope, np.zeros([*envelope.shape[:2], 1]), axis=-1)
    recall = right / np.maximum(judged.num_objects, 1)[:, np.newaxis, np.newaxis]
    place = [[np.searchsorted(row, _RECALLS) for row in area] for area in recall]
    found = np.take_along_axis(envelope, np.array(place), axis=-1)
    return np.where(judged.num_objects[:, np.newaxis, np.newaxis], found, np.nan)


def _recalls(judged: Judged, limit: int) -> np.ndarray:
    """Returns float64 [A, T], the recall of the best detections of each image.

    NaN where there is no object.
    """
    right = judged.right[..., judged.ranks < limit].sum(axis=-1)
    with np.errstate(invalid="ignore"):
        return right / judged.num_objects[:, np.newaxis]


def _mean(values: np.ndarray) -> float:
    """Returns the mean of what is not NaN; NaN if all is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else np.nan
