"""The detections of one image and class, judged as in the COCO challenge."""

from typing import NamedTuple

import numpy as np

from tf_frcnn.evaluation.overlaps import paired_iou

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
# Square pixels, from and to: all, small, medium, large.
AREAS = np.array([[0, 1e10], [0, 32**2], [32**2, 96**2], [96**2, 1e10]])
MAX_DETECTIONS = 100


class Judged(NamedTuple):
    """Detections of A ranges of area and T thresholds of IoU.

    Attributes:
        scores: float64 [n], best first in an image.
        ranks: int [n], 0 for the best of its image.
        right: bool [A, T, n], whether it is an object's first.
        counted: bool [A, T, n], False where it is neither right nor wrong.
        num_objects: int [A], objects in the range.
    """

    scores: np.ndarray
    ranks: np.ndarray
    right: np.ndarray
    counted: np.ndarray
    num_objects: np.ndarray


def judge_image(
    boxes: np.ndarray,
    scores: np.ndarray,
    objects: np.ndarray,
    crowd: np.ndarray,
    areas: np.ndarray = AREAS,
) -> Judged:
    """Judges the best 100 detections of an image and a class.

    Args:
        boxes: float [n, 4], (ymin, xmin, ymax, xmax) in pixels.
        scores: float [n].
        objects: float [m, 4], in the same pixels.
        crowd: bool [m], which of the objects are crowd regions.
        areas: float [A, 2], ranges in square pixels, from and to.

    Source: cocodataset/cocoapi:PythonAPI/pycocotools/cocoeval.py, `evaluateImg`.
    """
    order = np.argsort(-scores, kind="stable")[:MAX_DETECTIONS]
    boxes, overlaps = boxes[order], _overlaps(boxes[order], objects, crowd)
    right, counted = np.zeros([2, len(areas), len(IOU_THRESHOLDS), len(order)], bool)
    unwanted = crowd | _outside(objects, areas)
    for area, (ignored, is_outside) in enumerate(
        zip(unwanted, _outside(boxes, areas), strict=True)
    ):
        match = _matches(overlaps, crowd, ignored)
        is_ignored = np.append(ignored, False)[match]
        right[area] = (match >= 0) & ~is_ignored
        counted[area] = ~np.where(match >= 0, is_ignored, is_outside)
    ranks, num_objects = np.arange(len(order)), np.sum(~unwanted, axis=1)
    return Judged(scores[order], ranks, right, counted, num_objects)


def _overlaps(boxes: np.ndarray, objects: np.ndarray, crowd: np.ndarray) -> np.ndarray:
    """Returns float [n, m]: IoU, with crowds the share of the box that lies in them."""
    shape = len(boxes), len(objects)
    rows, columns = (index.ravel() for index in np.indices(shape))
    pairs = boxes[rows], objects[columns]
    iou = paired_iou(*pairs)
    if crowd.any():
        iou = np.where(crowd[columns], paired_iou(*pairs, of_crowds=True), iou)
    return iou.reshape(shape)


def _outside(boxes: np.ndarray, areas: np.ndarray) -> np.ndarray:
    """Returns bool [A, n], which boxes are of another area."""
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return (area < areas[:, :1]) | (area > areas[:, 1:])


def _matches(
    overlaps: np.ndarray, crowd: np.ndarray, ignored: np.ndarray
) -> np.ndarray:
    """Gives each detection the object that it overlaps most of those that are free.

    Objects that are to be ignored come after all others; a crowd stays free.

    Args:
        overlaps: float [n, m], detections best first.
        crowd: bool [m].
        ignored: bool [m].

    Returns:
        int [T, n], row of the object, -1 for none.
    """
    match = np.full([len(IOU_THRESHOLDS), len(overlaps)], -1)
    free = np.ones([len(IOU_THRESHOLDS), len(crowd)], bool)
    thresholds = np.minimum(IOU_THRESHOLDS, 1 - 1e-10)[:, np.newaxis]
    for row in np.flatnonzero(overlaps.max(axis=1, initial=0.0) >= thresholds[0]):
        near = free & (overlaps[row] >= thresholds)
        wanted = near & ~ignored
        pool = np.where(wanted.any(axis=1, keepdims=True), wanted, near)
        # Of equal ones the last, as there.
        value = np.where(pool, overlaps[row], -1.0)[:, ::-1]
        best = len(crowd) - 1 - value.argmax(axis=1)
        level = np.flatnonzero(near.any(axis=1))
        match[level, row] = best[level]
        free[level, best[level]] = crowd[best[level]]
    return match
