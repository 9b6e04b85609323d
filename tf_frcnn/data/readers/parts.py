"""Parts of a split, by names such as `train[:90%]`."""

import math
import re
import zlib
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from tf_frcnn.data.checks.problems import DataError
from tf_frcnn.data.examples import ExampleSet

_NAME = re.compile(r"(.+)\[(?:(\d+)%)?:(?:(\d+)%)?\]")


class Part(NamedTuple):
    """A part of a split.

    Attributes:
        split: name of the whole.
        start, end: percent of its images, 0 <= start < end <= 100.
    """

    split: str
    start: int
    end: int


def part_named(split: str) -> Part | None:
    """Returns the part that a name stands for, or None if it names a whole split.

    Raises:
        DataError: the percentages do not rise from 0 to 100.
    """
    match = _NAME.fullmatch(split)
    if match is None:
        return None
    part = Part(match[1], int(match[2] or 0), int(match[3] or 100))
    if not part.start < part.end <= 100:
        raise DataError(
            f"split {split!r}: the percentages must rise, and be at most 100, such as "
            f"{part.split}[:90%] and {part.split}[90%:]."
        )
    return part


def take_part(examples: ExampleSet, part: Part) -> ExampleSet:
    """Returns the images of a part of a set, which keep their stored order.

    Which they are follows from the images' names alone, as if shuffled: neighbours,
    which are often of one class, go to all parts. The classes and the problems are
    those of the whole.

    Args:
        examples: the whole split.
        part: of it.

    Raises:
        DataError: it has no image.
    """
    count = len(examples.records)
    keys = [zlib.crc32(record.image_id.encode()) for record in examples.records]
    start, end = (math.floor(count * p / 100) for p in (part.start, part.end))
    rows = np.argsort(keys, kind="stable")[start:end].tolist()
    name = f"{examples.name}[{part.start}%:{part.end}%]"
    if not rows:
        raise DataError(f"{name}: of {count} images none is in this part.")
    return replace(examples.subset(rows), name=name, problems=examples.problems)
