"""From image files and the objects that annotations have in them to a checked set."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_frcnn.data.checks.boxes import CheckedObjects, DrawnObject, check_objects
from tf_frcnn.data.checks.facts_cache import FactsCache
from tf_frcnn.data.checks.images import (
    ImageFacts,
    UnreadableImageError,
    inspect_files,
)
from tf_frcnn.data.checks.outside_links import OutsideLinks
from tf_frcnn.data.checks.problems import DataError, Problems
from tf_frcnn.data.checks.stated_sizes import (
    Move,
    move_to_image,
    shares_to_image,
)
from tf_frcnn.data.examples import ExampleSet, Record, StoredImages
from tf_frcnn.data.readers.locating import id_below, locate_images

REASONS_SHOWN = 3


class WrittenImage(NamedTuple):
    """An image as an annotation file has it.

    Attributes:
        name: of the image, as written.
        size: (height, width) as written, in pixels, or None.
        objects: corners are continuous and count from 0, in pixels.
    """

    name: str
    size: tuple[int, int] | None
    objects: list[DrawnObject]


class DescribedImage(NamedTuple):
    """An image file and its objects as written, unchecked.

    Attributes:
        path: the file.
        image_id: its name without ending; one of several equal ones is lengthened.
        file: name for messages, such as that of the annotation.
        objects: corners are continuous and count from 0, in pixels or as shares.
        size: (height, width) that the annotation states, or None.
    """

    path: Path
    image_id: str
    file: str
    objects: list[DrawnObject]
    size: tuple[int, int] | None = None


def read_described(
    name: str,
    described: Iterable[DescribedImage],
    class_names: tuple[str, ...],
    problems: Problems,
    root: Path,
    *,
    as_shares: bool = False,
    follow_links: bool = True,
) -> ExampleSet:
    """Opens and checks images and their objects.

    An image that is described twice has the objects of both descriptions, equal ones
    once.

    Args:
        name: of the set.
        described: in the order of the records.
        class_names: K names; label k is the k-th.
        problems: records every fault.
        root: the data set's folder.
        as_shares: whether corners are shares of the image's sides.
        follow_links: False: images outside the folder are left out.

    Raises:
        DataError: no image can be used, or the policy says so.
    """
    links = OutsideLinks(root, problems, follow_links)
    inside = [image for image in described if links.all_may_be_read(image.path)]
    images = distinct_ids(_merged(inside, problems))
    if not as_shares:
        _check_pixels(name, images)
    with FactsCache(root) as cache:
        facts = inspect_files((image.path for image in images), cache)
        found = [
            _record(image, fact, class_names, problems, as_shares)
            for image, fact in zip(images, facts, strict=True)
        ]
    records = tuple(record for record in found if record is not None)
    if not records:
        raise no_image_left(name, problems)
    paths = tf.constant([record.source for record in records])
    return ExampleSet(
        name, class_names, records, problems, StoredImages(paths, are_paths=True)
    )


def find_described(
    written: Sequence[WrittenImage],
    folders: Sequence[Path],
    problems: Problems,
    file: str,
) -> list[DescribedImage]:
    """Returns those of an annotation file's images that are found.

    Args:
        written: the images.
        folders: to look in, the most likely first.
        problems: records those that are not found.
        file: name of the annotation file, for messages.
    """
    paths = locate_images([w.name for w in written], folders, problems, file)
    return [
        DescribedImage(
            path, id_below(path, folders), f"{file}: {own.name}", own.objects, own.size
        )
        for own in written
        if (path := paths.get(own.name)) is not None
    ]


def check_described(
    objects: Sequence[DrawnObject],
    size: tuple[int, int] | None,
    facts: ImageFacts,
    class_names: tuple[str, ...],
    problems: Problems,
    file: str,
    *,
    as_shares: bool,
    one_based: bool = False,
) -> CheckedObjects | None:
    """Returns the objects of an image that can be used; None: the image is dropped.

    Args:
        objects: as written.
        size: (height, width) that the annotation states, or None.
        facts: of the image.
        class_names: K names.
        problems: records every fault.
        file: name for messages.
        as_shares: whether corners are shares of the image's sides.
        one_based: whether corners are whole pixels that count from 1, inclusive.
    """
    move = None if as_shares else move_to_image(size, facts, problems, file)
    if as_shares:
        to_pixels = shares_to_image(size, facts)
        objects = [_moved(drawn, to_pixels) for drawn in objects]
    elif move is None:
        return None
    if facts.orientation != 1:
        problems.add("rotated_image", file, f"EXIF {facts.orientation}")

    def to_boxes(corners):
        boxes = corners if move is None else move(corners)
        return boxes - ([1, 1, 0, 0] if one_based else 0)

    checked = check_objects(
        [*objects], to_boxes, facts.upright_size, class_names, problems, file
    )
    if not len(checked.boxes):
        detail = f"none of its {len(objects)} objects remains"
        problems.add(
            "empty_annotation", file, detail if objects else "it has no object"
        )
    return checked


def _moved(drawn: DrawnObject, move: Move) -> DrawnObject:
    ((ymin, xmin, ymax, xmax),) = move(np.array([drawn.corners])).tolist()
    return drawn._replace(corners=(ymin, xmin, ymax, xmax))


def no_image_left(name: str, problems: Problems) -> DataError:
    """Returns the error for a set without an image that can be used."""
    reasons = [f"{row.file}: {row.detail}" for row in problems.rows if row.file]
    shown = "; ".join(reasons[:REASONS_SHOWN])
    counts = ", ".join(f"{kind} {n}" for kind, n in problems.counts().items())
    return DataError(f"{name} has no image that can be used: {counts}. {shown}")


def distinct_ids(images: Sequence[DescribedImage]) -> list[DescribedImage]:
    """Returns the images with ids of their own.

    Images that differ in their endings alone get these; other equal ids get the names
    of the folders above, as few as tell them apart.
    """
    stems = Counter(image.path.with_suffix("") for image in images)
    endings = [
        image.path.suffix if stems[image.path.with_suffix("")] > 1 else ""
        for image in images
    ]
    ids = [image.image_id + end for image, end in zip(images, endings, strict=True)]
    depth = 0
    while len(counts := Counter(ids)) < len(ids):
        depth += 1
        ids = [
            own if counts[own] == 1 else _longer_id(image, depth) + end
            for image, own, end in zip(images, ids, endings, strict=True)
        ]
    rows = zip(images, ids, strict=True)
    return [image._replace(image_id=own) for image, own in rows]


def _longer_id(image: DescribedImage, depth: int) -> str:
    length = 1 + image.image_id.count("/") + depth
    return "/".join(image.path.with_suffix("").parts[-length:])


def _check_pixels(name: str, images: Sequence[DescribedImage]) -> None:
    """Raises a DataError if no box is larger than the first pixel."""
    corners = [drawn.corners for image in images for drawn in image.objects]
    if corners and all(max(own) <= 1 for own in corners):
        raise DataError(
            f"{name}: all corners lie in 0..1. Pixels are needed; these look like "
            "shares of the images' sides."
        )


def _merged(
    described: Iterable[DescribedImage], problems: Problems
) -> list[DescribedImage]:
    """Returns each file once."""
    merged: dict[Path, DescribedImage] = {}
    for image in described:
        first = merged.setdefault(image.path, image)
        if first is not image:
            detail = f"{image.path.name} occurs again; its objects are put together"
            problems.add("repeated_image", image.file, detail)
            objects = [*dict.fromkeys([*first.objects, *image.objects])]
            merged[image.path] = first._replace(objects=objects)
    return [*merged.values()]


def _record(
    image: DescribedImage,
    facts: ImageFacts | UnreadableImageError,
    class_names: tuple[str, ...],
    problems: Problems,
    as_shares: bool,
) -> Record | None:
    """Returns the checked record, or None if the image is dropped."""
    if isinstance(facts, UnreadableImageError):
        problems.add("unreadable_image", image.path.name, str(facts))
        return None
    checked = check_described(
        image.objects,
        image.size,
        facts,
        class_names,
        problems,
        image.file,
        as_shares=as_shares,
    )
    if checked is None:
        return None
    height, width = facts.upright_size
    source = str(image.path)
    return Record(image.image_id, source, height, width, facts.orientation, *checked)
