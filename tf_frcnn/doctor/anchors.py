"""The table of what a configuration's anchors reach, by class and size."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tf_frcnn.assembly import backbone_of
from tf_frcnn.config import Config
from tf_frcnn.data import ExampleSet
from tf_frcnn.doctor.reach import Objects, best_ious, network_objects
from tf_frcnn.layers.anchor_grid import base_anchors

# Sides between which the bands lie, in network pixels: the octaves of the paper's
# anchors and of the pyramids' below them.
_BAND_SIDES = (16, 32, 64, 128, 256, 512)
ALL_SIZES = "all"
# The RPN finds a class badly if fewer of its objects are reached than this.
_FEW = 0.5


class Reach(NamedTuple):
    """How many objects of a class and a size band some anchor reaches.

    Attributes:
        class_name: of the objects.
        band: their sides, as "32-64"; "all" for the class as a whole. A side is the
            root of the area, in network pixels.
        objects: their number.
        reach_50: share of them that some anchor covers at an IoU of at least 0.5.
        reach_70: the same at 0.7, where an anchor is an object to the RPN.
    """

    class_name: str
    band: str
    objects: int
    reach_50: float
    reach_70: float


class AnchorReport(NamedTuple):
    """What the anchors of a configuration reach.

    Attributes:
        rows: for each class that has objects its whole, then its bands.
        ceiling: share of all objects that are reached at an IoU of 0.5, the recall
            that the RPN's anchors allow.
        class_ceiling: the mean of that share over the classes, which counts rare ones
            as mAP does.
        image_size: (height, width) of the median image in network pixels.
        smallest_anchor: side (root of the area) of the smallest anchor in pixels.
        largest_anchor: that of the largest one.
        anchors_per_position: number A of anchors per cell.
        strides: pixels per cell of each map.
        too_small: classes of which most objects are not reached and lie below the
            smallest anchor.
        too_large: those of which most lie above the largest one.
    """

    rows: tuple[Reach, ...]
    ceiling: float
    class_ceiling: float
    image_size: tuple[int, int]
    smallest_anchor: float
    largest_anchor: float
    anchors_per_position: int
    strides: tuple[int, ...]
    too_small: tuple[str, ...]
    too_large: tuple[str, ...]

    @property
    def by_class(self) -> tuple[Reach, ...]:
        """The rows of whole classes."""
        return tuple(row for row in self.rows if row.band == ALL_SIZES)

    def to_json(self) -> dict[str, Any]:
        """Returns the fields as JSON can hold them."""
        return {**self._asdict(), "rows": [row._asdict() for row in self.rows]}

    def table(self) -> str:
        """Returns the report as text for a terminal."""
        width = max([len("class"), *(len(row.class_name) for row in self.rows)])
        lines = [f"{'class':{width}}  {'side':>8}  objects  IoU 0.5  IoU 0.7"]
        for row in self.rows:
            name = row.class_name if row.band == ALL_SIZES else ""
            shares = f"{row.reach_50:8.1%} {row.reach_70:8.1%}"
            lines.append(f"{name:{width}}  {row.band:>8}  {row.objects:7} {shares}")
        return "\n".join([*lines, "", *self.sentences()])

    def sentences(self) -> list[str]:
        """Returns what the table says, in words."""
        height, width = self.image_size
        said = [
            f"Images are {height} x {width} pixels in the network (median); the "
            f"{self.anchors_per_position} anchors of a position have sides from "
            f"{self.smallest_anchor:.0f} to {self.largest_anchor:.0f} pixels.",
            f"Some anchor reaches {self.ceiling:.1%} of all objects at an IoU of 0.5 "
            f"({self.class_ceiling:.1%} as the mean of the classes).",
        ]
        for names, where in (
            (self.too_small, "below the smallest anchor"),
            (self.too_large, "above the largest anchor"),
        ):
            if names:
                said.append(f"Most objects lie {where}: {', '.join(names)}.")
        return said


def anchor_report(examples: ExampleSet, config: Config) -> AnchorReport:
    """Measures what the anchors of a configuration reach in a data set.

    Args:
        examples: the set, usually the training split.
        config: its image size, backbone, anchors and border are read.
    """
    objects = network_objects(examples, config)
    return report_of(objects, examples.class_names, config)


def report_of(
    objects: Objects, class_names: Sequence[str], config: Config
) -> AnchorReport:
    """Measures what the anchors of a configuration reach; see `anchor_report`."""
    ious, sides = best_ious(objects, config), objects.sides
    anchor_sides = anchor_sides_of(config)
    rows, small, large = [], [], []
    for label, name in enumerate(class_names):
        own = objects.labels == label
        if not own.any():
            continue
        rows += _rows(name, sides[own], ious[own])
        if np.mean(ious[own] >= 0.5) < _FEW:
            small += [name] * bool(np.median(sides[own]) < anchor_sides.min())
            large += [name] * bool(np.median(sides[own]) > anchor_sides.max())
    whole = [row.reach_50 for row in rows if row.band == ALL_SIZES]
    median = np.median(objects.image_sizes, axis=0) if len(ious) else (0, 0)
    return AnchorReport(
        rows=tuple(rows),
        ceiling=float(np.mean(ious >= 0.5)) if len(ious) else 0.0,
        class_ceiling=float(np.mean(whole)) if whole else 0.0,
        image_size=(int(median[0]), int(median[1])),
        smallest_anchor=float(anchor_sides.min()),
        largest_anchor=float(anchor_sides.max()),
        anchors_per_position=config.anchors.per_cell,
        strides=tuple(backbone_of(config).strides),
        too_small=tuple(small),
        too_large=tuple(large),
    )


def anchor_sides_of(config: Config) -> np.ndarray:
    """Returns float64 [levels * A], the root of each anchor's area in pixels."""
    anchors = np.concatenate(
        [base_anchors(config.anchors, s) for s in backbone_of(config).strides]
    )
    plus = float(config.conventions.plus_one)
    return np.sqrt(np.prod(anchors[:, 2:] - anchors[:, :2] + plus, axis=1))


def _rows(name: str, sides: np.ndarray, ious: np.ndarray) -> list[Reach]:
    """Returns the rows of a class, the whole class first."""
    rows = [_reach(name, ALL_SIZES, ious)]
    bands = np.digitize(sides, _BAND_SIDES)
    for band in np.unique(bands):
        rows.append(_reach(name, _band_name(band), ious[bands == band]))
    return rows


def _band_name(band: int) -> str:
    if band == 0:
        return f"< {_BAND_SIDES[0]}"
    if band == len(_BAND_SIDES):
        return f">= {_BAND_SIDES[-1]}"
    return f"{_BAND_SIDES[band - 1]}-{_BAND_SIDES[band]}"


def _reach(name: str, band: str, ious: np.ndarray) -> Reach:
    shares = float(np.mean(ious >= 0.5)), float(np.mean(ious >= 0.7))
    return Reach(name, band, len(ious), *shares)
