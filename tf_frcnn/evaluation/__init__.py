"""Metrics in NumPy; no TensorFlow."""

from tf_frcnn.evaluation.coco import COCO_METRIC, COCOResult, evaluate_coco
from tf_frcnn.evaluation.overlaps import DetectedBoxes, GroundTruth
from tf_frcnn.evaluation.proposal_recall import (
    ProposalRecall,
    ProposedBoxes,
    proposal_recall,
)
from tf_frcnn.evaluation.voc import METRICS, VOCResult, evaluate_voc

__all__ = [
    "COCO_METRIC",
    "METRICS",
    "COCOResult",
    "DetectedBoxes",
    "GroundTruth",
    "ProposalRecall",
    "ProposedBoxes",
    "VOCResult",
    "evaluate_coco",
    "evaluate_voc",
    "proposal_recall",
]
