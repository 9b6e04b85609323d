"""The recall of proposals."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tf_frcnn.evaluation.overlaps import GroundTruth, check_rows, paired_iou

# Quotients, so that 0.6 equals an IoU of 6 / 10.
_IOU_THRESHOLDS = np.arange(50, 100, 5) / 100
# So many fit the processor's cache.
_PAIRS_AT_ONCE = 16_000


class ProposedBoxes(NamedTuple):
    """The proposals of all images, n of them, without padded rows.

    Attributes:
        image_index: int [n], numbers of the ground truth's images.
        boxes: float [n, 4], (ymin, xmin, ymax, xmax) in the ground truth's pixels.
        scores: float [n].
    """

    image_index: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray


class ProposalRecall(NamedTuple):
    """Recalls, NaN without objects.

    Attributes:
        num_proposals: int [M], numbers of best proposals used per image.
        iou_thresholds: float64 [T], 0.5, 0.55, ... 0.95.
        recalls: float64 [M, T], share of the objects that some proposal overlaps by at
            least the threshold.
        average_recalls: float64 [M], mean of the recall over all thresholds from 0.5
            to 1, not only over those listed.
    """

    num_proposals: np.ndarray
    iou_thresholds: np.ndarray
    recalls: np.ndarray
    average_recalls: np.ndarray


def proposal_recall(
    ground_truth: GroundTruth,
    proposals: ProposedBoxes,
    *,
    num_proposals: Sequence[int] = (50, 100, 300, 1000, 2000),
) -> ProposalRecall:
    """Measures the share of the objects that the best proposals of an image cover.

    A proposal may cover several objects. Difficult objects and crowds are left out.

    Args:
        ground_truth: the objects; their labels are not used.
        proposals: the proposals, in the same pixels.
        num_proposals: [M] numbers of proposals per image.

    Source: Hosang et al. 2016: with o the best IoU of an object, the
        average recall is twice the mean of max(o - 0.5, 0).
    """
    ground_truth, proposals = check_rows(ground_truth), check_rows(proposals)
    wanted = ~(ground_truth.difficult | ground_truth.crowd)
    boxes, images = ground_truth.boxes[wanted], ground_truth.image_index[wanted]
    best_iou = _best_overlaps(boxes, images, proposals, num_proposals)
    covered = best_iou[..., np.newaxis] >= _IOU_THRESHOLDS
    excess = np.maximum(best_iou - 0.5, 0.0)
    num_objects = len(boxes) or np.nan
    return ProposalRecall(
        np.array(num_proposals),
        _IOU_THRESHOLDS,
        recalls=covered.sum(axis=1) / num_objects,
        average_recalls=2.0 * excess.sum(axis=1) / num_objects,
    )


def _best_overlaps(
    boxes: np.ndarray,
    images: np.ndarray,
    proposals: ProposedBoxes,
    limits: Sequence[int],
) -> np.ndarray:
    """Returns float64 [M, n], each object's best IoU with so many best proposals."""
    by_image = np.argsort(images, kind="stable")
    numbers, object_starts, object_counts = np.unique(
        images[by_image], return_index=True, return_counts=True
    )
    order, starts, counts = _ranked(proposals, numbers)
    most = max(limits)
    best = np.zeros([len(limits), len(boxes)])
    for block in _blocks(object_counts, np.minimum(counts, most)):
        objects, _ = _rows(object_starts[block], object_counts[block])
        found, is_found = _rows(starts[block], np.minimum(counts[block], most))
        objects = by_image[objects]
        own = np.take(boxes, objects, axis=0)[:, :, np.newaxis]
        proposed = np.take(proposals.boxes, order[found], axis=0)[:, np.newaxis]
        overlaps = paired_iou(own, proposed)
        if not is_found.all():
            overlaps = np.where(is_found[:, np.newaxis], overlaps, 0.0)
        for row, limit in enumerate(limits):
            best[row, objects] = overlaps[..., :limit].max(axis=2)
    return best


def _blocks(object_counts: np.ndarray, counts: np.ndarray) -> list[np.ndarray]:
    """Returns lists of images with as many objects, and nearly as many proposals.

    Images without proposals are in none.
    """
    order = np.lexsort([counts, object_counts])
    order = order[counts[order] > 0]
    objects, counts = object_counts[order], counts[order]
    block = np.cumsum(objects * counts) // _PAIRS_AT_ONCE
    # Side by side, none takes more than twice its own room.
    keys = np.stack([block, objects, np.log2(counts).astype(int)])
    ends = np.flatnonzero(np.diff(keys, axis=1).any(axis=0)) + 1
    return np.split(order, ends) if len(order) else []


def _rows(starts: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the rows of n images side by side, int [n, m], and which are their own.

    Args:
        starts: int [n], of the images' rows.
        counts: int [n], of them, at least 1; m is the largest.
    """
    place = np.arange(counts.max())
    is_own = place < counts[:, np.newaxis]
    return np.where(is_own, starts[:, np.newaxis] + place, 0), is_own


def _ranked(
    proposals: ProposedBoxes, images: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the order of the proposals, the best of an image first, by images.

    Args:
        proposals: n of them.
        images: int [m], rising.

    Returns:
        int [n]; and int [m] each, where in it an image's proposals start, and how many
        they are.
    """
    order = np.argsort(proposals.image_index, kind="stable")
    own, scores = proposals.image_index[order], proposals.scores[order]
    starts, ends = (np.searchsorted(own, images, side) for side in ("left", "right"))
    # Those of a network come ranked.
    if (np.diff(scores)[own[1:] == own[:-1]] > 0).any():
        for start, end in zip(starts, ends, strict=True):
            ranked = np.argsort(-scores[start:end], kind="stable")
            order[start:end] = order[start:end][ranked]
    return order, starts, ends - starts
