"""The results of a detector for a batch, stage by stage."""

from typing import NamedTuple

import tensorflow as tf

from tf_frcnn.models.batch import canvas_size
from tf_frcnn.models.rpn import RPNState
from tf_frcnn.structures import Proposals


class Stages(NamedTuple):
    """Intermediate results of inference.

    Attributes:
        features: float [B, h, w, C] of each level.
        rpn: of all levels.
        proposals: in network pixels.
    """

    features: list[tf.Tensor]
    rpn: RPNState
    proposals: Proposals


def first_stage(model, batch) -> Stages:
    """Runs the backbone and the RPN."""
    features = model.features(batch)
    rpn = model.rpn(features, batch["image_sizes"], canvas_size(batch))
    return Stages(features, rpn, model.rpn.propose(rpn, batch))


def pooled_rois(model, batch, stages: Stages) -> tf.Tensor:
    """Pools the proposals from the one map, float [B, P, S, S, C]."""
    boxes, pooling = stages.proposals.boxes, model.roi_head.pooling
    return pooling(stages.features, boxes, canvas_size=canvas_size(batch))


def second_stage(model, batch, features, proposals):
    """Returns the logits and the deltas of proposals."""
    return model.roi_head(features, proposals, canvas_size(batch))
