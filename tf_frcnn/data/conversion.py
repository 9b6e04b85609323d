"""Writes the splits of a data set in another form."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from tf_frcnn.data.checks.problems import DataError
from tf_frcnn.data.coco_writer import write_coco
from tf_frcnn.data.examples import ExampleSet, Record, StoredImages
from tf_frcnn.data.voc_writer import write_voc

Write = Callable[[ExampleSet, Path, str], None]

WRITERS: dict[str, Write] = {"voc": write_voc, "coco": write_coco}


def write_splits(
    splits: Mapping[str, ExampleSet], directory: str | Path, form: str
) -> None:
    """Writes checked splits as one data set.

    All get the classes of all, those of the first split first. Images get names without
    folders; an image that lies in several splits with the same objects is written once,
    and others of one name get the name of their split before it.

    Args:
        splits: name -> examples.
        directory: does not exist, or is empty.
        form: of `WRITERS`.

    Raises:
        DataError: the form is unknown, or the folder is not empty.
    """
    root = Path(directory)
    if form not in WRITERS:
        raise DataError(f"format {form!r} must be one of {', '.join(WRITERS)}.")
    require_empty(root)
    names = dict.fromkeys(n for own in splits.values() for n in own.class_names)
    owners: dict[str, tuple] = {}
    for split, examples in splits.items():
        examples = _with_more_classes(examples, tuple(names))
        ids = _own_ids(examples, _file_name(split), owners)
        records = tuple(
            record._replace(image_id=own)
            for record, own in zip(examples.records, ids, strict=True)
        )
        WRITERS[form](replace(examples, records=records), root, _file_name(split))


def require_empty(folder: Path) -> None:
    """Raises a DataError unless a folder is empty or does not exist."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} exists and is not an empty folder; choose another.")


def _file_name(split: str) -> str:
    """Returns a split's name for files: "train[:10%]" is no such name."""
    return re.sub(r"[^\w.-]+", "_", split).strip("_") or "all"


def _with_more_classes(examples: ExampleSet, names: tuple[str, ...]) -> ExampleSet:
    labels = np.array([names.index(name) for name in examples.class_names], np.int32)
    records = (r._replace(labels=labels[r.labels]) for r in examples.records)
    return replace(examples, class_names=names, records=tuple(records))


def _own_ids(
    examples: ExampleSet, split: str, owners: dict[str, tuple]
) -> Iterator[str]:
    """Yields the id of each record, under which no other image was written.

    Args:
        examples: the records.
        split: its name.
        owners: id -> what the image of that id is; gets the new ones.
    """
    for record in examples.records:
        facts = _identity(record, examples, split)
        for name in _candidates(record.image_id.replace("/", "_"), split):
            # Files of two names may be one where case does not count.
            if owners.setdefault(name.lower(), facts) == facts:
                yield name
                break


def _candidates(image_id: str, split: str) -> Iterable[str]:
    yield image_id
    yield f"{split}_{image_id}"
    number = 2
    while True:
        yield f"{split}_{image_id}_{number}"
        number += 1


def _identity(record: Record, examples: ExampleSet, split: str) -> tuple:
    """Returns what is equal for one image, with the same objects, in two splits."""
    images = examples.images
    is_file = isinstance(images, StoredImages) and images.are_paths
    place = record.source if is_file else (split, record.image_id)
    objects = (record.boxes, record.labels, record.difficult, record.crowd)
    return (place, *(values.tobytes() for values in objects))
