"""The kinds of wrong detections."""

from typing import NamedTuple

import numpy as np

from tf_frcnn.evaluation.overlaps import (
    DetectedBoxes,
    GroundTruth,
    best_overlaps,
    check_rows,
)
from tf_frcnn.evaluation.voc import Judgement

KINDS = ("duplicate", "class", "box", "class_and_box", "background")
# Below this IoU with all objects a detection lies on background.
BACKGROUND_IOU = 0.1


class FalseAlarms(NamedTuple):
    """The wrong ones of n detections.

    Attributes:
        kinds: n texts, of `KINDS`; empty where the detection is right or not counted.
        objects: int64 [n], row of the object that it lies on or beside, -1 for none.
    """

    kinds: np.ndarray
    objects: np.ndarray


def false_alarms(
    truth: GroundTruth,
    found: DetectedBoxes,
    judged: Judgement,
    num_classes: int,
    iou_threshold: float = 0.5,
) -> FalseAlarms:
    """Tells of each wrong detection what is wrong with it.

    With the threshold t, by default 0.5, a detection is

    - "duplicate": on an object of its class (IoU >= t) that has a better one;
    - "class": on an object of another class (IoU >= t);
    - "box": beside an object of its class (0.1 <= IoU < t);
    - "class_and_box": beside an object of another class;
    - "background": on nothing, or on an object that nobody has marked.

    The first that is true counts.

    Args:
        truth: the objects; crowd regions are left out.
        found: n detections.
        judged: of these.
        num_classes: K.
        iou_threshold: from which a detection lies on an object.

    Source: Bolya et al. 2020 (TIDE), section 2.2; there a box beside an object of its
        class comes before one on another class.
    """
    truth, found = check_rows(truth, num_classes), check_rows(found, num_classes)
    rows = np.flatnonzero(~truth.crowd)
    objects = GroundTruth(*(column[rows] for column in truth))

    any_row, any_iou = best_overlaps(
        found.boxes, found.image_index, objects.boxes, objects.image_index
    )
    own_row, own_iou = best_overlaps(
        found.boxes,
        found.image_index * num_classes + found.labels,
        objects.boxes,
        objects.image_index * num_classes + objects.labels,
    )
    tests = (
        own_iou >= iou_threshold,
        any_iou >= iou_threshold,
        own_iou >= BACKGROUND_IOU,
        any_iou >= BACKGROUND_IOU,
    )
    wrong = judged.counted & ~judged.right
    kinds = np.where(wrong, np.select(tests, KINDS[:-1], KINDS[-1]), "")
    nearest = np.select(tests, (own_row, any_row, own_row, any_row), -1)
    return FalseAlarms(kinds, np.append(rows, -1)[np.where(wrong, nearest, -1)])
