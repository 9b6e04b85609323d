"""Average precision and recall as in the COCO challenge, by its own program."""

import contextlib
import io
from typing import Any, NamedTuple

import numpy as np

from tf_frcnn.evaluation.overlaps import DetectedBoxes, GroundTruth, check_rows


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

    Args:
        ground_truth: the objects.
        detections: the detections, in the same pixels.
        num_classes: K.
        use_difficult: whether difficult objects count like the others; otherwise they
            are crowds, which may be found or not.

    Source: cocodataset/cocoapi:PythonAPI/pycocotools/cocoeval.py.
    """
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        message = 'COCO numbers need pycocotools: pip install "tf-frcnn[coco]".'
        raise ImportError(message) from error
    ground_truth = check_rows(ground_truth, num_classes)
    detections = check_rows(detections, num_classes)
    images = np.union1d(ground_truth.image_index, detections.image_index)
    crowd = ground_truth.crowd | (ground_truth.difficult & (not use_difficult))
    objects = _annotations(ground_truth, iscrowd=crowd.astype(int))
    answers = _annotations(detections, score=detections.scores)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(
            _indexed(COCO(), images, objects, num_classes),
            _indexed(COCO(), images, answers, num_classes),
            "bbox",
        )
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    # [thresholds, recalls, K, areas, numbers of detections]; all areas, 100 detections.
    precision = _without_gaps(evaluation.eval["precision"][:, :, :, 0, 2])
    class_ap, class_ap50 = precision.mean(axis=(0, 1)), precision[0].mean(axis=0)
    return COCOResult._make([*_without_gaps(evaluation.stats), class_ap, class_ap50])


def _annotations(rows: GroundTruth | DetectedBoxes, **columns: Any) -> list[dict]:
    """Returns COCO's annotations: boxes as (x, y, width, height), ids from 1."""
    sides = rows.boxes[:, 2:] - rows.boxes[:, :2]
    columns = {
        "id": np.arange(1, len(rows.boxes) + 1),
        "image_id": rows.image_index,
        "category_id": rows.labels,
        "bbox": np.hstack([rows.boxes[:, 1::-1], sides[:, ::-1]]),
        "area": sides.prod(axis=1),
        "iscrowd": np.zeros(len(sides), int),
    } | columns
    lists = (column.tolist() for column in columns.values())
    return [dict(zip(columns, row, strict=True)) for row in zip(*lists, strict=True)]


def _indexed(coco: Any, images: np.ndarray, annotations: list, num_classes: int) -> Any:
    coco.dataset = {
        "images": [{"id": image} for image in images.tolist()],
        "categories": [{"id": label} for label in range(num_classes)],
        "annotations": annotations,
    }
    coco.createIndex()
    return coco


def _without_gaps(numbers: np.ndarray) -> np.ndarray:
    # pycocotools returns -1 where no object counts.
    return np.where(numbers < 0, np.nan, numbers)
