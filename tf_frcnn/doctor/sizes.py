"""The sizes and shapes of boxes as the network sees them, after resizing."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tf_frcnn.data.decoding.resizing import Resizing, plan_resize
from tf_frcnn.data.examples import ExampleSet, Record
from tf_frcnn.doctor.findings import Finding, Place

# Sides, in network pixels, between which boxes are counted.
BAND_EDGES = (8, 16, 32, 64, 128, 256, 512)
# Half a cell of the usual stride of 16.
_TINY_SIDE = 8.0
_THIN_RATIO = 10.0
_WHOLE_SHARE = 0.98
# Overlap of two boxes of one image that are one object.
_SAME_IOU = 0.95


class Boxes(NamedTuple):
    """The boxes of a split, n of them.

    Attributes:
        rows: int [n], the records that they belong to.
        labels: int [n] in 0..K-1.
        sides: float [n], square roots of the areas, in network pixels.
        ratios: float [n], heights over widths.
        shares: float [n], of the area of their image.
    """

    rows: np.ndarray
    labels: np.ndarray
    sides: np.ndarray
    ratios: np.ndarray
    shares: np.ndarray


class SizeRow(NamedTuple):
    """The sizes of the boxes of a class.

    Attributes:
        name: of the class.
        objects: number of boxes.
        smallest, median, largest: sides in network pixels.
        ratio: median of height over width.
        bands: numbers of boxes below and between `BAND_EDGES`, and above.
    """

    name: str
    objects: int
    smallest: float
    median: float
    largest: float
    ratio: float
    bands: tuple[int, ...]


def measure_boxes(records: Sequence[Record], resizing: Resizing) -> Boxes:
    """Measures the boxes of records at the network's scale.

    Args:
        records: of a split.
        resizing: of training; of several short sides the shortest counts.
    """
    counts = [len(record.boxes) for record in records]
    rows = np.repeat(np.arange(len(records)), counts)
    files = np.array([(r.height, r.width) for r in records], np.int64).reshape(-1, 2)
    heights, widths = files.T
    plan = plan_resize(
        heights, widths, resizing.short_sides[0], resizing.long_side, resizing.method
    )
    empty = np.zeros((0, 4), np.float32)
    boxes = np.concatenate([empty, *(record.boxes for record in records)])
    spans = (boxes[:, 2:] - boxes[:, :2]).astype(float)  # Heights and widths.
    scaled = spans * plan.scales.numpy()[rows]
    return Boxes(
        rows,
        np.concatenate([np.zeros(0, np.int32), *(r.labels for r in records)]),
        np.sqrt(scaled.prod(axis=1)),
        scaled[:, 0] / scaled[:, 1],
        spans.prod(axis=1) / files.prod(axis=1)[rows],
    )


def size_table(boxes: Boxes, class_names: Sequence[str]) -> list[SizeRow]:
    """Returns a row for each class that has boxes."""
    table = []
    for label, name in enumerate(class_names):
        chosen = boxes.labels == label
        if chosen.any():
            sides = boxes.sides[chosen]
            bands = np.bincount(
                np.digitize(sides, BAND_EDGES), minlength=len(BAND_EDGES) + 1
            )
            low, median, high = np.quantile(sides, [0.0, 0.5, 1.0]).tolist()
            ratio = float(np.median(boxes.ratios[chosen]))
            counts = tuple(bands.tolist())
            table.append(SizeRow(name, len(sides), low, median, high, ratio, counts))
    return table


def box_findings(
    splits: Mapping[str, ExampleSet], boxes: Mapping[str, Boxes]
) -> Iterator[Finding]:
    """Yields what is odd about the sizes and shapes of boxes, and about their pairs.

    Args:
        splits: name -> examples.
        boxes: name -> its boxes.
    """
    for kind, is_odd, words in (
        ("tiny_boxes", lambda b: b.sides < _TINY_SIDE, f"a side below {_TINY_SIDE:g}"),
        (
            "thin_boxes",
            lambda b: abs(np.log(b.ratios)) > np.log(_THIN_RATIO),
            f"one side over {_THIN_RATIO:g} times the other",
        ),
        (
            "whole_image_boxes",
            lambda b: b.shares >= _WHOLE_SHARE,
            f"{_WHOLE_SHARE:.0%} of their image or more",
        ),
    ):
        odd = {split: is_odd(own) for split, own in boxes.items()}
        places = [
            Place(split, row)
            for split, chosen in odd.items()
            for row in dict.fromkeys(boxes[split].rows[chosen].tolist())
        ]
        if places:
            count, total = (sum(map(f, odd.values())) for f in (np.sum, np.size))
            end = " network pixels" if kind == "tiny_boxes" else ""
            message = f"Of {total} boxes {count} have {words}{end}."
            yield _finding(kind, message, places, splits)
    yield from _pair_findings(splits)


def _pair_findings(splits: Mapping[str, ExampleSet]) -> Iterator[Finding]:
    places: dict[str, list[Place]] = {"repeated_boxes": [], "two_classes": []}
    for split, examples in splits.items():
        for row, record in enumerate(examples.records):
            for is_same_class in _pairs(record):
                kind = "repeated_boxes" if is_same_class else "two_classes"
                places[kind].append(Place(split, row))
    words = {
        "repeated_boxes": "Boxes that lie on another one of their class",
        "two_classes": "Boxes that lie on one of another class",
    }
    for kind, found in places.items():
        if found:
            message = f"{words[kind]} (IoU of {_SAME_IOU} or more): {len(found)}."
            yield _finding(kind, message, [*dict.fromkeys(found)], splits)


def _pairs(record: Record) -> list[bool]:
    """Returns for each pair of boxes that are one object whether its class is one."""
    boxes, labels = record.boxes.astype(float), record.labels
    if len(boxes) < 2:
        return []
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = np.maximum(high - low, 0.0).prod(axis=2)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    ious = shared / (areas[:, None] + areas[None] - shared)
    first, second = np.nonzero(np.triu(ious >= _SAME_IOU, 1))
    return (labels[first] == labels[second]).tolist()


def _finding(
    kind: str, message: str, places: list[Place], splits: Mapping[str, ExampleSet]
) -> Finding:
    files = tuple(splits[p.split].records[p.row].source for p in places)
    return Finding(kind, message, files, tuple(places))
