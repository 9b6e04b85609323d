"""Data sets: readers, checks, and the pipeline to batches."""

from tf_frcnn.data.checks.problems import DataError, Policy, Problem, Problems
from tf_frcnn.data.decoding.resizing import (
    RESIZE_METHODS,
    ResizePlan,
    Resizing,
    plan_resize,
    resize,
)
from tf_frcnn.data.decoding.transforms import decode_image, flip
from tf_frcnn.data.examples import ExampleSet, Record, concatenate
from tf_frcnn.data.pipeline.batching import (
    evaluation_batches,
    num_batches,
    training_batches,
)
from tf_frcnn.data.pipeline.canvases import derive_canvases
from tf_frcnn.data.pipeline.proposal_cache import (
    CachedProposals,
    read_proposals,
    write_proposals,
)
from tf_frcnn.data.readers.shapes import SHAPE_CLASSES, make_shapes
from tf_frcnn.data.readers.tfds_voc import read_tfds_voc
from tf_frcnn.data.readers.voc import read_voc
from tf_frcnn.data.voc_writer import write_voc

DATASETS = {"voc": read_voc, "tfds_voc": read_tfds_voc, "shapes": make_shapes}

__all__ = [
    "DATASETS",
    "RESIZE_METHODS",
    "SHAPE_CLASSES",
    "CachedProposals",
    "DataError",
    "ExampleSet",
    "Policy",
    "Problem",
    "Problems",
    "Record",
    "ResizePlan",
    "Resizing",
    "concatenate",
    "decode_image",
    "derive_canvases",
    "evaluation_batches",
    "flip",
    "make_shapes",
    "num_batches",
    "plan_resize",
    "read_proposals",
    "read_tfds_voc",
    "read_voc",
    "resize",
    "training_batches",
    "write_proposals",
    "write_voc",
]
