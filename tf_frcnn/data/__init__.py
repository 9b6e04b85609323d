"""Data sets: readers, checks, and the pipeline to batches."""

from tf_frcnn.data.checks.problems import (
    DataError,
    MissingSplitError,
    Policy,
    Problems,
)
from tf_frcnn.data.coco_writer import write_coco
from tf_frcnn.data.conversion import WRITERS, require_empty, write_splits
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
from tf_frcnn.data.readers.coco import read_coco
from tf_frcnn.data.readers.csv_table import read_csv
from tf_frcnn.data.readers.shapes import SHAPE_CLASSES, make_shapes, read_shapes
from tf_frcnn.data.readers.splits import SPLIT_LISTS, reader_for
from tf_frcnn.data.readers.tfds import read_tfds
from tf_frcnn.data.readers.tfrecord import read_tfrecord
from tf_frcnn.data.readers.voc import read_voc
from tf_frcnn.data.readers.yolo import read_yolo
from tf_frcnn.data.voc_writer import write_voc

__all__ = [
    "DATASETS",
    "SHAPE_CLASSES",
    "SPLIT_LISTS",
    "WRITERS",
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
    "read_coco",
    "read_csv",
    "read_proposals",
    "read_shapes",
    "read_tfds",
    "read_tfrecord",
    "read_voc",
    "read_yolo",
    "reader_for",
    "require_empty",
    "training_batches",
    "write_coco",
    "write_proposals",
    "write_splits",
    "write_voc",
]
