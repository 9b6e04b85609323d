"""Metrics in NumPy; no TensorFlow."""

from tf_frcnn.evaluation.coco import (
    COCO_METRIC,
    COCOResult,
    SizeResult,
    evaluate_by_size,
    evaluate_coco,
)
from tf_frcnn.evaluation.overlaps import DetectedBoxes, GroundTruth
from tf_frcnn.evaluation.proposal_recall import (
    ProposalRecall,
    ProposedBoxes,
    proposal_recall,
)
from tf_frcnn.evaluation.voc import (
    METRICS,
    Judgement,
    VOCResult,
    evaluate_voc,
    judge_voc,
)

__all__ = [
    "COCO_METRIC",
    "METRICS",
    "COCOResult",
    "DetectedBoxes",
    "GroundTruth",
    "Judgement",
    "ProposalRecall",
    "ProposedBoxes",
    "SizeResult",
    "VOCResult",
    "evaluate_by_size",
    "evaluate_coco",
    "evaluate_voc",
    "judge_voc",
    "proposal_recall",
]
