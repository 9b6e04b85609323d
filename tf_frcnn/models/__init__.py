"""Detectors as Keras models: their parts, and the models made of them."""

from tf_frcnn.models.cascade import CascadeHead
from tf_frcnn.models.detector import Detector
from tf_frcnn.models.errors import NON_FINITE, NonFiniteError
from tf_frcnn.models.fast_rcnn import FastRCNN
from tf_frcnn.models.faster_rcnn import FasterRCNN
from tf_frcnn.models.proposal_network import ProposalNetwork
from tf_frcnn.models.roi_head import RoIHead
from tf_frcnn.models.rpn import RegionProposalNetwork
from tf_frcnn.models.stage_losses import BOX_LOSSES, CLASS_LOSSES

__all__ = [
    "BOX_LOSSES",
    "CLASS_LOSSES",
    "NON_FINITE",
    "CascadeHead",
    "Detector",
    "FastRCNN",
    "FasterRCNN",
    "NonFiniteError",
    "ProposalNetwork",
    "RegionProposalNetwork",
    "RoIHead",
]
