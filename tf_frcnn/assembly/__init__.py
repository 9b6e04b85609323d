"""Builds what a configuration describes; no other package reads its fields."""

from tf_frcnn.assembly.data import Splits, build_examples, split_names
from tf_frcnn.assembly.devices import build_strategy
from tf_frcnn.assembly.model import (
    backbone_of,
    build_model,
    check_parts,
    load_initial_weights,
    read_initial_weights,
)
from tf_frcnn.assembly.plan import RunPlan, build_plan, compile_model
from tf_frcnn.assembly.steps import STEP_NAMES, build_step_config, is_alternating
from tf_frcnn.models.inputs import (
    build_balance,
    build_evaluation_batches,
    build_resizing,
    build_training_batches,
    count_epoch,
    proposals_file,
    stored_proposals,
)

__all__ = [
    "STEP_NAMES",
    "RunPlan",
    "Splits",
    "backbone_of",
    "build_balance",
    "build_evaluation_batches",
    "build_examples",
    "build_model",
    "build_plan",
    "build_resizing",
    "build_step_config",
    "build_strategy",
    "build_training_batches",
    "check_parts",
    "compile_model",
    "count_epoch",
    "is_alternating",
    "load_initial_weights",
    "proposals_file",
    "read_initial_weights",
    "split_names",
    "stored_proposals",
]
