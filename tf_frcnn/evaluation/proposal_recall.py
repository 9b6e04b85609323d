"""The recall of proposals."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tf_frcnn.evaluation.overlaps import GroundTruth, best_overlaps, check_rows

# Quotients, so that 0.6 equals an IoU of 6 / 10.
_IOU_THRESHOLDS = np.arange(50, 100, 5) / 100


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
    rank = _rank_in_image(proposals.image_index, proposals.scores)
    best_iou = np.empty([len(num_proposals), len(boxes)])
    for row, limit in enumerate(num_proposals):
        used = ProposedBoxes(*(column[rank < limit] for column in proposals))
        _, best_iou[row] = best_overlaps(boxes, images, used.boxes, used.image_index)
    covered = best_iou[..., np.newaxis] >= _IOU_THRESHOLDS
    excess = np.maximum(best_iou - 0.5, 0.0)
    num_objects = len(boxes) or np.nan
    return ProposalRecall(
        np.array(num_proposals),
        _IOU_THRESHOLDS,
        recalls=covered.sum(axis=1) / num_objects,
        average_recalls=2.0 * excess.sum(axis=1) / num_objects,
    )


def _rank_in_image(image_index: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Returns int [n]: 0 for the best proposal of its image, 1 for the next, ..."""
    order = np.lexsort([-scores, image_index])
    images = image_index[order]
    rank = np.empty(len(order), int)
    rank[order] = np.arange(len(order)) - np.searchsorted(images, images)
    return rank
