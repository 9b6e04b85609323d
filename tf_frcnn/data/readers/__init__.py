"""Readers of data sets, by the names that a configuration gives them.

A reader is a function

    read(location: str | None, split: str, *, class_names=(), policy=Policy(), ...)

that returns an `ExampleSet`. `location` is a folder or None, `split` a name in the
reader's own terms, `class_names` the classes in the order of their labels (empty: those
of the data), and `policy` says what is done about faults. Further keyword arguments are
its own settings: one named like a setting of `data`, or `seed`, gets that setting's
value. `DATASETS["mine"] = read_mine` adds a reader from anywhere.
"""

from collections.abc import Callable

from tf_frcnn.data.examples import ExampleSet
from tf_frcnn.data.readers.shapes import read_shapes
from tf_frcnn.data.readers.tfds_voc import read_tfds_voc
from tf_frcnn.data.readers.voc import read_voc

DATASETS: dict[str, Callable[..., ExampleSet]] = {
    "voc": read_voc,
    "tfds_voc": read_tfds_voc,
    "shapes": read_shapes,
}
