"""An examination as one HTML file that loads nothing from elsewhere."""

import itertools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tf_frcnn.data import ExampleSet
from tf_frcnn.doctor.examination import Examination
from tf_frcnn.doctor.findings import SEVERITIES, Place
from tf_frcnn.doctor.sizes import BAND_EDGES
from tf_frcnn.doctor.terminal import summary
from tf_frcnn.doctor.thumbnails import thumbnails
from tf_frcnn.drawing.pages import render_page

_TEMPLATE = Path(__file__).parent / "page.html"
# Images shown: of each finding, in all, and pairs of those that are the same.
_OF_EACH, _IMAGES, _PAIRS = 4, 24, 8
FILES_LISTED = 20


class ShownImage(NamedTuple):
    """An image of the page.

    Attributes:
        split: its split.
        file: its file.
        reasons: what is wrong with it, in a few words each.
        thumbnail: a data URI.
    """

    split: str
    file: str
    reasons: tuple[str, ...]
    thumbnail: str


class Band(NamedTuple):
    """Sides between two limits.

    Attributes:
        number: place in `SizeRow.bands`.
        name: its limits in words.
    """

    number: int
    name: str


def page_of(found: Examination, splits: Mapping[str, ExampleSet]) -> str:
    """Returns the page of an examination as HTML.

    Args:
        found: the examination.
        splits: name -> examples, for the images.
    """
    reasons, pairs = worst_images(found), _pairs(found)
    thumbs = thumbnails(splits, {*reasons, *itertools.chain(*pairs)})

    def shown(place: Place, reasons: tuple[str, ...] = ()) -> ShownImage:
        record = splits[place.split].records[place.row]
        return ShownImage(place.split or "all", record.source, reasons, thumbs[place])

    root = os.path.join(os.path.abspath(os.path.expanduser(found.data)), "")
    short = {"short": lambda file: os.path.abspath(file).removeprefix(root)}
    return render_page(
        _TEMPLATE,
        short,
        found=found,
        summary=summary(found),
        counts={s: sum(f.severity == s for f in found.findings) for s in SEVERITIES},
        bands=_bands(found),
        images=[shown(place, why) for place, why in reasons.items()],
        pairs=[[shown(place) for place in pair] for pair in pairs],
        files_listed=FILES_LISTED,
    )


def worst_images(found: Examination) -> dict[Place, tuple[str, ...]]:
    """Returns the images to look at first, and what is wrong with each.

    They are those of the most serious findings, a few of each; those that several
    findings name come first among them.
    """
    reasons: dict[Place, list[str]] = {}
    for finding in found.findings:
        for place in finding.images:
            reasons.setdefault(place, []).append(finding.title)
    chosen: dict[Place, None] = {}
    for finding in found.findings:
        by_number = sorted(finding.images, key=lambda place: -len(reasons[place]))
        chosen |= dict.fromkeys(by_number[:_OF_EACH])
    return {p: tuple(dict.fromkeys(reasons[p])) for p in [*chosen][:_IMAGES]}


def _pairs(found: Examination) -> list[tuple[Place, Place]]:
    """Returns pairs of images that are the same, those across splits first."""
    pairs = [(group[0], group[-1]) for group in found.copies.same]
    pairs += found.copies.alike
    across = [pair for pair in pairs if pair[0].split != pair[1].split]
    within = [pair for pair in pairs if pair[0].split == pair[1].split]
    return [*across, *within][:_PAIRS]


def _bands(found: Examination) -> list[Band]:
    """Returns the bands from the first to the last with a box."""
    between = [f"{low} to {high}" for low, high in itertools.pairwise(BAND_EDGES)]
    names = [f"below {BAND_EDGES[0]}", *between, f"{BAND_EDGES[-1]} and more"]
    counts = zip(*(row.bands for row in found.sizes), strict=True)
    used = [number for number, band in enumerate(counts) if any(band)]
    return [Band(n, names[n]) for n in range(min(used), max(used) + 1)] if used else []
