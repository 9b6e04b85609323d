"""The objects of each class by split, and what is wrong with the classes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tf_frcnn.data.examples import ExampleSet
from tf_frcnn.doctor.class_names import is_background, near_equal_pairs
from tf_frcnn.doctor.findings import Finding, Place

# Of the objects of a class to learn from; see the remedy of "rare_class".
_FEW_OBJECTS = 20
# Of a class.
_IMAGES_NAMED = 20
# Of two names that differ in a letter the rarer one is a slip up to this share.
_SLIPS_SHARE = 0.1


class ClassRow(NamedTuple):
    """The objects of one class.

    Attributes:
        name: of the class.
        objects: split -> number of objects.
        images: split -> number of images with an object.
        difficult: split -> number of objects marked difficult, or a crowd.
        places: the first images with an object.
        files: the files of these.
    """

    name: str
    objects: dict[str, int]
    images: dict[str, int]
    difficult: dict[str, int]
    places: tuple[Place, ...] = ()
    files: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """Objects of all splits."""
        return sum(self.objects.values())

    def to_learn(self, split: str, on_difficult: bool = False) -> int:
        """Returns the number of objects of a split that training learns from."""
        return self.objects[split] - (0 if on_difficult else self.difficult[split])


def class_table(splits: Mapping[str, ExampleSet]) -> list[ClassRow]:
    """Returns a row for each class of any split, in the order of their lists."""
    names = dict.fromkeys(n for own in splits.values() for n in own.class_names)
    counts = {split: _counts(examples) for split, examples in splits.items()}
    first = _first_images(splits)
    nothing = np.zeros(3, int)
    rows = []
    for name in names:
        own = {split: count.get(name, nothing) for split, count in counts.items()}
        objects, images, difficult = (
            {split: int(numbers[part]) for split, numbers in own.items()}
            for part in range(3)
        )
        places = tuple(first.get(name, ()))
        files = tuple(splits[p.split].records[p.row].source for p in places)
        rows.append(ClassRow(name, objects, images, difficult, places, files))
    return rows


def class_findings(
    rows: Sequence[ClassRow], training: str, *, on_difficult: bool = False
) -> Iterator[Finding]:
    """Yields what is wrong with the classes of a data set.

    Args:
        rows: of `class_table`.
        training: the split to train on.
        on_difficult: whether objects marked difficult are learned.
    """
    by_name = {row.name: row for row in rows}
    if any(row.to_learn(training, on_difficult) for row in rows):
        yield from _amounts(rows, training, on_difficult)
    else:
        yield Finding("no_objects", f"No image of {training} has an object to learn.")
    for row in rows:
        if is_background(row.name):
            message = f"{row.name!r} is a class; its objects: {row.total}."
            yield Finding("background_class", message, row.files, row.places)
    for first, second, difference in near_equal_pairs([*by_name]):
        one, other = by_name[first], by_name[second]
        rarer, larger = sorted((one, other), key=lambda row: row.total)
        is_slip = difference != "one letter" or (
            rarer.total <= _SLIPS_SHARE * larger.total
        )
        yield Finding(
            "near_equal_names" if is_slip else "similar_names",
            f"{first!r} and {second!r} differ in {difference}; their objects: "
            f"{one.total} and {other.total}.",
            rarer.files,
            rarer.places,
        )


def _counts(examples: ExampleSet) -> dict[str, np.ndarray]:
    """Returns name -> int [3]: objects, images with one, difficult objects."""
    size = len(examples.class_names)
    labels = [record.labels for record in examples.records]
    difficult = [r.labels[r.difficult | r.crowd] for r in examples.records]
    columns = [labels, [np.unique(own) for own in labels], difficult]
    counts = [
        np.bincount(np.concatenate([np.zeros(0, int), *column]), minlength=size)
        for column in columns
    ]
    return dict(zip(examples.class_names, np.stack(counts, axis=1), strict=True))


def _first_images(splits: Mapping[str, ExampleSet]) -> dict[str, list[Place]]:
    """Returns class name -> the first images with an object."""
    found: dict[str, list[Place]] = {}
    for split, examples in splits.items():
        for row, record in enumerate(examples.records):
            for label in {*record.labels.tolist()}:
                places = found.setdefault(examples.class_names[label], [])
                if len(places) < _IMAGES_NAMED:
                    places.append(Place(split, row))
    return found


def _amounts(
    rows: Sequence[ClassRow], training: str, on_difficult: bool
) -> Iterator[Finding]:
    """Yields what is wrong with the numbers of objects."""
    rare, unused, unmeasured = [], [], []
    for row in rows:
        learned = row.to_learn(training, on_difficult)
        others = [count for split, count in row.objects.items() if split != training]
        if not row.total:
            unused.append(repr(row.name))
        elif not learned:
            message = _why_not_learned(row, training)
            yield Finding("class_not_learned", message, row.files, row.places)
        elif learned < _FEW_OBJECTS and not is_background(row.name):
            rare.append(f"{row.name!r} {learned}")
        if row.total and others and not any(others):
            unmeasured.append(repr(row.name))
    if unused:
        message = f"Classes without any object: {', '.join(unused)}."
        yield Finding("unused_class", message)
    if rare:
        where = training or "the data"
        message = f"Classes with few objects in {where}: {', '.join(rare)}."
        yield Finding("rare_class", message)
    if unmeasured:
        message = f"Classes that are in {training} only: {', '.join(unmeasured)}."
        yield Finding("class_not_validated", message)


def _why_not_learned(row: ClassRow, training: str) -> str:
    start = f"Class {row.name!r} is not learned; its objects"
    if not row.objects[training]:
        splits = ", ".join(f"{split} {count}" for split, count in row.objects.items())
        return f"{start} by split: {splits}."
    return f"{start} in {training} are all difficult: {row.objects[training]}."
