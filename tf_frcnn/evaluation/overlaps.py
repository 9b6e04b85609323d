"""Boxes of many images in flat arrays, and their best overlaps."""

from typing import NamedTuple, TypeVar

import numpy as np

_PAIRS_AT_ONCE = 2_000_000  # bounds the memory: about 100 bytes per pair


class GroundTruth(NamedTuple):
    """The objects of all images, n of them, without padded rows.

    Attributes:
        image_index: int [n], the same number for the boxes of one image.
        boxes: float [n, 4], (ymin, xmin, ymax, xmax) in pixels.
        labels: int [n] in 0..K-1.
        difficult: bool [n].
        crowd: bool [n], or one for all; regions of many objects, each of which takes
            any number of detections that lie in it.
    """

    image_index: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    difficult: np.ndarray
    crowd: np.ndarray = np.array(False)


class DetectedBoxes(NamedTuple):
    """The detections of all images, n of them, without padded rows.

    Attributes:
        image_index: int [n], numbers of the ground truth's images.
        boxes: float [n, 4], (ymin, xmin, ymax, xmax) in the ground truth's pixels.
        scores: float [n].
        labels: int [n] in 0..K-1.
    """

    image_index: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray


Rows = TypeVar("Rows", bound=NamedTuple)


def check_rows(rows: Rows, num_classes: int | None = None) -> Rows:
    """Returns the same tuple in the types of this package, or raises a ValueError.

    Args:
        rows: a tuple of arrays with one row per box.
        num_classes: K, where labels are to be checked.
    """
    kind = type(rows).__name__
    columns = [_typed_column(*column) for column in rows._asdict().items()]
    rows = type(rows)._make(
        np.full(len(columns[0]), column) if column.ndim == 0 else column
        for column in columns
    )
    lengths = {name: len(column) for name, column in rows._asdict().items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"{kind}: fields of different lengths: {lengths}.")
    for name, column in rows._asdict().items():
        if not np.isfinite(column).all():
            raise ValueError(f"{kind}: {name} must be finite; some are not.")
    if num_classes is not None:
        labels = rows._asdict()["labels"]
        wrong = labels[(labels < 0) | (labels >= num_classes)]
        if wrong.size:
            allowed = f"labels must lie in 0..{num_classes - 1}; leave out padded rows"
            raise ValueError(f"{kind}: a label is {wrong[0]}, but {allowed}.")
    return rows


def _typed_column(name: str, column: np.ndarray) -> np.ndarray:
    if name == "boxes":
        return np.asarray(column, np.float64).reshape(-1, 4)
    types = {"scores": np.float64, "difficult": bool, "crowd": bool}
    return np.asarray(column).astype(types.get(name, np.int64))


def paired_iou(
    boxes: np.ndarray,
    others: np.ndarray,
    *,
    plus_one: bool = False,
    of_crowds: bool = False,
) -> np.ndarray:
    """Returns the IoU of every box with the other box of its row.

    Args:
        boxes: float [..., 4], (ymin, xmin, ymax, xmax).
        others: float [..., 4]; shapes that differ are broadcast.
        plus_one: whether sides are xmax - xmin + 1, for corners that are pixels.
        of_crowds: whether the other boxes are crowd regions, so that the share of the
            box that lies in the region takes the IoU's place.

    Returns:
        float [...]; 0 where the boxes have no area.

    Source: cocodataset/cocoapi:common/maskApi.c, `bbIou`, for crowds.
    """
    own, other = np.moveaxis(boxes, -1, 0), np.moveaxis(others, -1, 0)
    low = [np.maximum(own[n], other[n]) for n in (0, 1)]
    high = [np.minimum(own[n], other[n]) for n in (2, 3)]
    area, other_area, shared = (
        np.maximum(ymax - ymin + plus_one, 0) * np.maximum(xmax - xmin + plus_one, 0)
        for ymin, xmin, ymax, xmax in (own, other, (*low, *high))
    )
    union = area if of_crowds else area + other_area - shared
    return shared / np.where(union > 0, union, 1)  # Without a union nothing is shared.


def best_overlaps(
    boxes: np.ndarray,
    groups: np.ndarray,
    others: np.ndarray,
    other_groups: np.ndarray,
    **measure: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Finds for every box the other box of its group that it overlaps most.

    Args:
        boxes: float [n, 4], (ymin, xmin, ymax, xmax).
        groups: int [n].
        others: float [m, 4].
        other_groups: int [m].
        **measure: keyword arguments of `paired_iou`.

    Returns:
        int [n], row of the other box, the first of equal ones, and float [n], their
        IoU; -1 and 0 where the group has no other box.
    """
    order = np.argsort(other_groups, kind="stable")
    start = np.searchsorted(other_groups[order], groups, side="left")
    count = np.searchsorted(other_groups[order], groups, side="right") - start
    index, iou = np.full(len(boxes), -1), np.zeros(len(boxes))
    filled = np.flatnonzero(count)
    block = np.cumsum(count[filled]) // _PAIRS_AT_ONCE
    for rows in np.split(filled, np.flatnonzero(np.diff(block)) + 1):
        first = (
            np.cumsum(count[rows]) - count[rows]
        )  # pair at which a row's pairs start
        row = np.repeat(np.arange(rows.size), count[rows])
        other = order[start[rows][row] + np.arange(row.size) - first[row]]
        overlap = paired_iou(boxes[rows][row], others[other], **measure)
        iou[rows] = np.maximum.reduceat(overlap, first)
        is_best = np.flatnonzero(overlap == iou[rows][row])
        index[rows] = other[is_best[np.unique(row[is_best], return_index=True)[1]]]
    return index, iou
