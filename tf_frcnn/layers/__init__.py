"""Keras layers, each a thin shell on `ops`."""

from tf_frcnn.layers.anchor_grid import AnchorGrid
from tf_frcnn.layers.anchor_targets import AnchorTargetLayer
from tf_frcnn.layers.box_heads import ConvolutionalHead, FullyConnectedHead, TailHead
from tf_frcnn.layers.box_predictor import BoxPredictor
from tf_frcnn.layers.detections import DetectionLayer
from tf_frcnn.layers.local_response_norm import LocalResponseNormalization
from tf_frcnn.layers.max_pooling import MaxPooling2D
from tf_frcnn.layers.preprocessing import Preprocessing
from tf_frcnn.layers.proposal_targets import ProposalTargetLayer
from tf_frcnn.layers.proposals import ProposalLayer
from tf_frcnn.layers.roi_pooling import ROI_POOLINGS, Pooling, RoIPooling
from tf_frcnn.layers.rpn_head import RPNHead

__all__ = [
    "ROI_POOLINGS",
    "AnchorGrid",
    "AnchorTargetLayer",
    "BoxPredictor",
    "ConvolutionalHead",
    "DetectionLayer",
    "FullyConnectedHead",
    "LocalResponseNormalization",
    "MaxPooling2D",
    "Pooling",
    "Preprocessing",
    "ProposalLayer",
    "ProposalTargetLayer",
    "RPNHead",
    "RoIPooling",
    "TailHead",
]
