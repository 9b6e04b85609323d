"""Findings about images that are the same."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np

from tf_frcnn.data.examples import ExampleSet
from tf_frcnn.doctor.copies import Copies
from tf_frcnn.doctor.findings import Finding, Place

_Splits = Mapping[str, ExampleSet]


def same_image_findings(
    copies: Copies, splits: _Splits, training: str
) -> Iterator[Finding]:
    """Yields what is wrong with images that are the same, or nearly so.

    Args:
        copies: of `copies.find_copies`.
        splits: name -> examples.
        training: name of the split to train on.
    """
    yield from shared_findings(copies.same, {training: splits[training], **splits})
    within = [g for g in copies.same if len({p.split for p in g}) < len(g)]
    if within:
        count = sum(len(group) - len({p.split for p in group}) for group in within)
        message = f"Copies of other images of the same split: {count}."
        yield Finding("repeated_images", message, _files(within, splits))
    differing = [group for group in copies.same if _differ(group, splits)]
    if differing:
        message = f"Images that recur with other objects: {len(differing)}."
        yield Finding("same_image_other_objects", message, _files(differing, splits))
    for kind, is_across in (
        ("alike_across_splits", True),
        ("alike_within_split", False),
    ):
        pairs = [p for p in copies.alike if (p[0].split != p[1].split) == is_across]
        if pairs:
            where = "another split" if is_across else "the same split"
            message = f"Images that look nearly like one of {where}: {len(pairs)}."
            yield Finding(kind, message, _files(pairs, splits))


def shared_findings(
    groups: Sequence[Sequence[Place]], splits: _Splits
) -> Iterator[Finding]:
    """Yields for each two splits how many images they have in common.

    Args:
        groups: images that are the same.
        splits: name -> examples, the training split first.
    """
    training = next(iter(splits))
    for first, second in combinations(splits, 2):
        shared = [
            [place for place in group if place.split in (first, second)]
            for group in groups
            if {first, second} <= {place.split for place in group}
        ]
        if shared:
            count = sum(place.split == second for group in shared for place in group)
            total = len(splits[second].records)
            kind, effect = "shared_images", "its figures say little about new images."
            if first != training:
                kind = "measured_twice"
                effect = "if one chooses the weights, the other's figures are too good."
            message = f"{count} of the {total} {second} images are {first} images, too:"
            yield Finding(kind, f"{message} {effect}", _files(shared, splits))


def objects_of(place: Place, splits: _Splits) -> tuple:
    """Returns the objects of an image in a form in which equal ones are equal."""
    examples = splits[place.split]
    record = examples.records[place.row]
    names = [examples.class_names[label] for label in record.labels]
    marks = np.column_stack([record.difficult, record.crowd]).tolist()
    rows = zip(names, record.boxes.tolist(), marks, strict=True)
    return tuple(sorted((name, *box, *own) for name, box, own in rows))


def _differ(group: Sequence[Place], splits: _Splits) -> bool:
    return len({objects_of(place, splits) for place in group}) > 1


def _files(groups: Sequence[Sequence[Place]], splits: _Splits) -> tuple[str, ...]:
    """Returns the files of each group in turn; one of two splits is named once."""
    places = (place for group in groups for place in group)
    files = (splits[place.split].records[place.row].source for place in places)
    return tuple(dict.fromkeys(files))
