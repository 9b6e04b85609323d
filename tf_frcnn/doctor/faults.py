"""Findings made of the faults that readers found in the files."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from tf_frcnn.data.checks.problems import Problem
from tf_frcnn.data.examples import ExampleSet
from tf_frcnn.doctor.findings import Finding, Place

# Kinds of problems that are findings of the same name.
_OWN_KINDS = ("unknown_class", "unused_bits", "counted_from_0")
# By these a whole image is lost where they are dropped.
_OF_IMAGES = (
    "missing_image",
    "unreadable_image",
    "missing_annotation",
    "unreadable_annotation",
    "ambiguous_image",
    "wrong_size",
    "several_boxes",
    "outline_only",
)
_MANY_LOST = 0.1


class FaultRow(NamedTuple):
    """The faults of one kind, in one split, that were answered in one way.

    Attributes:
        split: its name.
        kind: a key of `ALLOWED_ACTIONS`.
        action: "repair", "drop" or "keep".
        number: of them.
        files: names of the files, each once.
        example: the first one, in words.
    """

    split: str
    kind: str
    action: str
    number: int
    files: tuple[str, ...]
    example: str


def fault_table(splits: Mapping[str, ExampleSet]) -> list[FaultRow]:
    """Returns a row for each split, kind and action."""
    table = []
    for split, examples in splits.items():
        groups: dict[tuple[str, str], list[Problem]] = defaultdict(list)
        for problem in examples.problems.rows:
            groups[problem.kind, problem.action].append(problem)
        for (kind, action), rows in groups.items():
            files = tuple(dict.fromkeys(row.file for row in rows))
            row = FaultRow(split, kind, action, len(rows), files, rows[0].detail)
            table.append(row)
    return table


def lost_images(table: Sequence[FaultRow], split: str) -> int:
    """Returns how many images of a split were left out."""
    files = [
        file
        for row in table
        if row.split == split and row.action == "drop" and row.kind in _OF_IMAGES
        for file in row.files
    ]
    return len({*files})


def fault_findings(
    table: Sequence[FaultRow], splits: Mapping[str, ExampleSet]
) -> Iterator[Finding]:
    """Yields a finding for each kind of fault that changed something.

    Args:
        table: of `fault_table`.
        splits: name -> examples.
    """
    places = _Places(splits)
    for kind in dict.fromkeys(row.kind for row in table):
        for action, own in (("drop", "files_dropped"), ("repair", "files_repaired")):
            is_own = kind in _OWN_KINDS
            rows = [
                r for r in table if r.kind == kind and (is_own or r.action == action)
            ]
            if not rows or (is_own and action == "repair"):
                continue
            files = tuple(dict.fromkeys(f"{file}" for r in rows for file in r.files))
            found = tuple(p for r in rows for p in places.of(r.split, r.files))
            count = sum(row.number for row in rows)
            first = f"{rows[0].files[0]}: {rows[0].example}"
            message = f"{kind}, {count} in all; the first is {first}."
            yield Finding(kind if is_own else own, message, files, found)
    for split, examples in splits.items():
        lost, kept = lost_images(table, split), len(examples.records)
        if lost >= _MANY_LOST * (lost + kept):
            message = f"{lost} of the {lost + kept} images of {split} are left out."
            yield Finding("images_lost", message)


class _Places:
    """Finds the images that files of annotations are about."""

    def __init__(self, splits: Mapping[str, ExampleSet]):
        self._rows = {
            split: {
                PurePosixPath(r.image_id).name: n for n, r in enumerate(one.records)
            }
            for split, one in splits.items()
        }

    def of(self, split: str, files: Sequence[str]) -> Iterator[Place]:
        """Yields the images of files such as "labels.json: 0001.jpg"."""
        for file in files:
            name = PurePosixPath(file.rpartition(": ")[2])
            rows = self._rows[split]
            row = rows.get(name.stem, rows.get(name.name))
            if row is not None:
                yield Place(split, row)
