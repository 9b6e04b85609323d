"""The recall of proposals."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tf_frcnn.evaluation.overlaps import GroundTruth, check_rows, paired_iou

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
    order = np.argsort(proposals.image_index, kind="stable")
    proposed_in = proposals.image_index[order]
    by_image = np.argsort(images, kind="stable")
    _, starts = np.unique(images[by_image], return_index=True)
    best = np.zeros([len(limits), len(boxes)])
    for rows in np.split(by_image, starts)[1:]:
        image = images[rows[0]]
        own = order[slice(*np.searchsorted(proposed_in, [image, image + 1]))]
        ranked = np.argsort(-proposals.scores[own], kind="stable")[: max(limits)]
        proposed = proposals.boxes[own[ranked]]
        overlaps = paired_iou(boxes[rows, np.newaxis], proposed)
        for row, limit in enumerate(limits):
            best[row, rows] = overlaps[:, :limit].max(axis=1, initial=0.0)
    return best
