"""Data sets: readers, checks, and the pipeline to batches."""

from tf_frcnn.data.checks.problems import (
    DataError,
    MissingSplitError,
    Policy,
    Problems,
)
from tf_frcnn.data.decoding.resizing import Resizing
from tf_frcnn.data.examples import ExampleSet, Record
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
from tf_frcnn.data.readers import DATASETS
from tf_frcnn.data.readers.shapes import SHAPE_CLASSES, make_shapes, read_shapes
from tf_frcnn.data.readers.voc import read_voc
from tf_frcnn.data.voc_writer import write_voc

__all__ = [
    "DATASETS",
    "SHAPE_CLASSES",
    "CachedProposals",
    "DataError",
    "ExampleSet",
    "MissingSplitError",
    "Policy",
    "Problems",
    "Record",
    "Resizing",
    "derive_canvases",
    "evaluation_batches",
    "make_shapes",
    "num_batches",
    "read_proposals",
    "read_shapes",
    "read_voc",
    "training_batches",
    "write_proposals",
    "write_voc",
]
