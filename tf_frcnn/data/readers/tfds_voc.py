"""Reads PASCAL VOC 2007 and 2012 through TensorFlow Datasets."""

from collections.abc import Sequence
from pathlib import Path

from tf_frcnn.data.checks.problems import DEFAULT_POLICY, DataError, Policy
from tf_frcnn.data.examples import ExampleSet
from tf_frcnn.data.joining import concatenate
from tf_frcnn.data.readers.tfds import read_tfds

YEARS = {"07": "2007", "12": "2012", "2007": "2007", "2012": "2012"}
SPLITS = {
    "train": ("train",),
    "validation": ("validation",),
    "val": ("validation",),
    "trainval": ("train", "validation"),
    "test": ("test",),
}


def read_tfds_voc(
    location: str | Path | None,
    split: str,
    *,
    class_names: Sequence[str] = (),
    policy: Policy = DEFAULT_POLICY,
    download: bool = False,
) -> ExampleSet:
    """Reads splits of the builders voc/2007 and voc/2012, joined.

    Boxes come out as `read_voc` reads them from the same annotation files.

    Args:
        location: where TensorFlow Datasets keeps prepared data; None: its default.
        split: a sum of terms YEAR/SPLIT, such as "2007/train+2007/validation". The year
            may be short ("07"); the split is train, validation (or val), trainval
            (both) or test. A year alone means its trainval: "07+12" is the union that
            the literature calls so. The test images of 2012 have no annotations.
        class_names: K of VOC's names in the wanted order; empty: all 20, sorted.
        policy: the action for each kind of fault.
        download: whether to download and prepare missing data; otherwise that is an
            error.

    Returns:
        The records in stored order, term by term, and the problems found.
    """
    terms = [(year, part) for term in split.split("+") for year, part in _parse(term)]
    sets = [
        read_tfds(
            f"voc/{year}",
            part,
            class_names=class_names,
            policy=policy,
            data_dir=None if location is None else str(location),
            download=download,
        )
        for year, part in terms
    ]
    return concatenate(sets) if len(sets) > 1 else sets[0]


def _parse(term: str) -> list[tuple[str, str]]:
    """Returns the builder's (year, split) pairs of one term of a sum."""
    year, _, part = term.strip().partition("/")
    if year not in YEARS or (part or "trainval") not in SPLITS:
        raise DataError(
            f"split {term!r} is not a VOC split; write YEAR/SPLIT or YEAR with a year "
            f"of {', '.join(YEARS)} and a split of {', '.join(SPLITS)}, joined by '+'."
        )
    return [(YEARS[year], name) for name in SPLITS[part or "trainval"]]
