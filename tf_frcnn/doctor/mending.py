"""A mended copy of a data set: what a program can decide is done, the rest is told."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from tf_frcnn.data import DataError, ExampleSet, Record
from tf_frcnn.doctor.class_names import is_background, plain
from tf_frcnn.doctor.examination import Examination
from tf_frcnn.doctor.findings import Place
from tf_frcnn.doctor.same_images import objects_of


class Mended(NamedTuple):
    """A mended data set.

    Attributes:
        splits: name -> examples.
        done: sentences on what was changed, beside the repairs of the reader.
    """

    splits: dict[str, ExampleSet]
    done: tuple[str, ...]


def mend(sets: Mapping[str, ExampleSet], found: Examination) -> Mended:
    """Returns the data set without the faults that need no decision of a person.

    - An image in two splits stays where it is measured on and leaves the training
      split, so that figures stay comparable with those of others. Of two other splits
      it stays in the later one.
    - A copy within a split with the same objects is left out.
    - An object that occurs twice in an image, with class and corners, occurs once.
    - Class names that differ in case, blanks, - or _ only become the one with the most
      objects.
    - A class of the background is left out, with its objects.

    Repaired boxes, and images and boxes that the reader dropped, are so already.

    Args:
        sets: name -> examples, as they were examined.
        found: the examination.

    Raises:
        DataError: a split would be empty.
    """
    joined = set(found.joined)
    splits = {name: own for name, own in sets.items() if name not in joined}
    done: list[str] = []
    names = _new_names(found)
    splits = _without_copies(splits, found, done)
    for old, new in names.items():
        if new is None:
            done.append(f"Class {old!r} is left out: it is the background.")
        elif new != old:
            done.append(f"Class {old!r} became {new!r}.")
    splits = {name: _renamed(own, names) for name, own in splits.items()}
    splits = {name: _once_each(own, name, done) for name, own in splits.items()}
    return Mended(splits, tuple(done))


def _new_names(found: Examination) -> dict[str, str | None]:
    """Returns class name -> its new name, None for the background."""
    groups: dict[str, list] = {}
    for row in found.classes:
        groups.setdefault(plain(row.name), []).append(row)
    best = {key: max(rows, key=lambda row: row.total) for key, rows in groups.items()}
    return {
        row.name: None if is_background(row.name) else best[plain(row.name)].name
        for row in found.classes
    }


def _without_copies(
    splits: Mapping[str, ExampleSet], found: Examination, done: list[str]
) -> dict[str, ExampleSet]:
    order = [found.training, *(name for name in splits if name != found.training)]
    dropped: set[Place] = set()
    for group in found.copies.same:
        last = max(group, key=lambda place: order.index(place.split)).split
        kept: set[tuple] = set()
        for place in group:
            objects, file = objects_of(place, splits), _file(place, splits)
            if place.split != last:
                done.append(f"{file} is left out of {place.split}: it is in {last}.")
            elif objects in kept:
                done.append(f"{file} is left out of {last}: it is a copy.")
            else:
                kept.add(objects)
                continue
            dropped.add(place)
    return {name: _without(own, name, dropped) for name, own in splits.items()}


def _without(examples: ExampleSet, split: str, dropped: set[Place]) -> ExampleSet:
    kept = [n for n in range(len(examples.records)) if Place(split, n) not in dropped]
    if not kept:
        raise DataError(
            f"All images of {split} are in other splits, too, and without them it is "
            "empty: divide the images anew."
        )
    return examples.subset(kept)


def _file(place: Place, splits: Mapping[str, ExampleSet]) -> str:
    return splits[place.split].records[place.row].source


def _renamed(examples: ExampleSet, names: Mapping[str, str | None]) -> ExampleSet:
    """Returns a set with new class names; objects without one are left out."""
    new = [names[name] for name in examples.class_names]
    class_names = tuple(dict.fromkeys(name for name in new if name is not None))
    labels = np.array(
        [-1 if n is None else class_names.index(n) for n in new], np.int32
    )

    def renamed(record: Record) -> Record:
        record = record._replace(labels=labels[record.labels])
        return _with_objects(record, record.labels >= 0)

    records = tuple(map(renamed, examples.records))
    return replace(examples, class_names=class_names, records=records)


def _once_each(examples: ExampleSet, split: str, done: list[str]) -> ExampleSet:
    """Returns a set in which no image has an object twice."""
    counts: Counter[str] = Counter()
    records = []
    for record in examples.records:
        rows = np.column_stack([record.boxes, record.labels, record.crowd])
        keep = np.zeros(len(rows), bool)
        keep[np.unique(rows, axis=0, return_index=True)[1]] = True
        counts[record.source] += int((~keep).sum())
        records.append(_with_objects(record, keep))
    if total := counts.total():
        done.append(f"{total} repeated objects of {split} are left out.")
    return replace(examples, records=tuple(records))


def _with_objects(record: Record, keep: Sequence[bool] | np.ndarray) -> Record:
    return record._replace(
        boxes=record.boxes[keep],
        labels=record.labels[keep],
        difficult=record.difficult[keep],
        crowd=record.crowd[keep],
    )
