"""Readers of data sets, by the names that a configuration gives them.

A reader is a function

    read(location: str | None, split: str, *, class_names=(), policy=Policy(), ...)

that returns an `ExampleSet`. `location` is a folder or None, `split` a name in the
reader's own terms (`train` where `train[:90%]` is asked for, which `parts` cuts;
readers of `CUT_THEMSELVES` cut themselves), `class_names` the classes in the order of
their labels (empty: those of the data), and `policy` says what is done about faults.
Further keyword arguments are its own settings: one named like a setting of `data`, or
`seed`, gets that setting's value. `DATASETS["mine"] = read_mine` adds a reader from
anywhere. `splits.SPLIT_LISTS` has functions that list the splits of a location, for
those who want all of them.
"""

from collections.abc import Callable, Mapping, Sequence
from os import PathLike, fspath
from typing import Any

from tf_frcnn.data.checks.problems import DataError, Policy, nearest_name
from tf_frcnn.data.examples import ExampleSet
from tf_frcnn.data.readers.coco import read_coco
from tf_frcnn.data.readers.csv_table import read_csv
from tf_frcnn.data.readers.parts import Part, part_named, take_part
from tf_frcnn.data.readers.shapes import read_shapes
from tf_frcnn.data.readers.tfds import read_tfds
from tf_frcnn.data.readers.tfds_voc import read_tfds_voc
from tf_frcnn.data.readers.tfrecord import read_tfrecord
from tf_frcnn.data.readers.voc import read_voc
from tf_frcnn.data.readers.yolo import read_yolo

DATASETS: dict[str, Callable[..., ExampleSet]] = {
    "voc": read_voc,
    "coco": read_coco,
    "yolo": read_yolo,
    "csv": read_csv,
    "tfrecord": read_tfrecord,
    "tfds": read_tfds,
    "tfds_voc": read_tfds_voc,
    "shapes": read_shapes,
}


# Readers that take names of parts of their splits.
CUT_THEMSELVES = {"tfds"}


def split_and_part(reader: str, split: str) -> tuple[str, Part | None]:
    """Returns the name that a reader takes, and the part of what it reads."""
    part = None if reader in CUT_THEMSELVES else part_named(split)
    return (part.split if part else split), part


def read_data(
    reader: str,
    location: str | PathLike | None = None,
    split: str = "train",
    *,
    class_names: Sequence[str] = (),
    policy: Mapping[str, str] | None = None,
    **settings: Any,
) -> ExampleSet:
    """Reads and checks a data set, and prints what was found wrong in it.

    Args:
        reader: a name of `DATASETS`: "voc", "coco", "yolo", "csv" or "tfrecord"
            (folders and files in these forms), "tfds" (any data set of TensorFlow
            Datasets), "tfds_voc" (its VOC, years joined) or "shapes" (drawn).
        location: the folder or the file; for "tfds" the builder's name; None where the
            reader needs none.
        split: a name in the reader's own terms; "train[:90%]" and "train[90%:]" are
            two parts of train, see `data.readers.parts.take_part`.
        class_names: the classes in the order of their labels; empty: those of the data.
            Give those of the training data to all other splits.
        policy: what is done about faults, see `Policy`; None for the defaults.
        **settings: the reader's own, such as `one_based=False` of "voc".

    Raises:
        DataError: there is no such reader, or the data cannot be used.
    """
    if reader not in DATASETS:
        raise DataError(
            f"reader = {reader!r} must be one of {', '.join(DATASETS)}"
            f"{nearest_name(reader, DATASETS) or '.'}"
        )
    whole, part = split_and_part(reader, split)
    examples = DATASETS[reader](
        None if location is None else fspath(location),
        whole,
        class_names=tuple(class_names),
        policy=Policy(policy or {}),
        **settings,
    )
    examples.problems.print()
    return take_part(examples, part) if part else examples
