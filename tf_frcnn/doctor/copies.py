"""Pairs of images that are the same, by their bytes or by their looks."""

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tf_frcnn.data.checks.progress import with_progress
from tf_frcnn.data.examples import ExampleSet, StoredImages
from tf_frcnn.doctor.findings import Place
from tf_frcnn.doctor.fingerprints import Fingerprint, features, image_files

# Products of `features` from which images are alike. Copies in another encoding, of
# 0.3 to 0.7 of the size, or brighter, reach 0.83 to 0.99 in drawn shapes and 0.98 in
# the images of blood cells (BCCD); different images of these 0.70 and 0.41.
ALIKE = 0.85
# Rows of likenesses that are computed at once; bounds the memory.
_BLOCK = 256
# Of a file, from its middle: equal in copies, and hardly ever in others of one size.
_PIECE_BYTES = 4096

# A file, or what stands for an image elsewhere.
Content = Path | tuple


class Copies(NamedTuple):
    """Images that are the same.

    Attributes:
        same: groups of images with the same bytes.
        alike: pairs of images that look alike and have other bytes, the most similar
            first: each image with the most similar one before it, of its own split and
            of the others.
    """

    same: tuple[tuple[Place, ...], ...]
    alike: tuple[tuple[Place, Place], ...]


def find_copies(found: Mapping[str, Sequence[Fingerprint]]) -> Copies:
    """Returns the images of a data set that are the same.

    Args:
        found: split -> the fingerprint of each of its records.
    """
    groups: dict[str, list[Place]] = defaultdict(list)
    first: list[tuple[Place, Fingerprint]] = []
    for split, own in found.items():
        for row, one in enumerate(own):
            groups[one.digest].append(Place(split, row))
            if len(groups[one.digest]) == 1:
                first.append((Place(split, row), one))
    same = tuple(tuple(group) for group in groups.values() if len(group) > 1)
    return Copies(same, tuple(_alike(first)))


def shared_images(splits: Mapping[str, ExampleSet]) -> list[list[Place]]:
    """Returns groups of the same image in several splits; reads few files.

    Files of one size are compared by a piece of each, and equal ones as a whole. Images
    that lie in archives are the same where they have one name, size and objects.

    Args:
        splits: name -> examples.
    """
    places: dict[Content, list[Place]] = defaultdict(list)
    for split, examples in splits.items():
        for row, content in enumerate(_contents(examples)):
            places[content].append(Place(split, row))

    def is_shared(contents: list[Content]) -> bool:
        return len({place.split for own in contents for place in places[own]}) > 1

    groups = [[*places]]
    for key in (_size, _piece, _whole):
        groups = [part for own in groups for part in _grouped(own, key)]
        groups = [group for group in groups if is_shared(group)]
    return [[place for own in group for place in places[own]] for group in groups]


def _alike(
    images: Sequence[tuple[Place, Fingerprint]],
) -> Iterator[tuple[Place, Place]]:
    """Yields pairs that look alike, the most similar first."""
    places = [place for place, _ in images]
    vectors = features([one for _, one in images])
    splits = np.unique([place.split for place in places], return_inverse=True)[1]
    pairs: dict[tuple[int, int], float] = {}
    starts = range(0, len(vectors), _BLOCK)
    for start in with_progress(starts, len(starts), "Looking for copies"):
        # Each image is compared with those before it.
        end = start + _BLOCK
        likeness = vectors[start:end] @ vectors[:end].T
        likeness[np.triu_indices_from(likeness, start)] = 0.0
        rows = np.flatnonzero(likeness.max(axis=1) >= ALIKE)
        is_own = splits[start + rows, None] == splits[None, :end]
        for chosen in (is_own, ~is_own):
            values = np.where(chosen, likeness[rows], 0.0)
            partners = values.argmax(axis=1)
            for row, partner, own in zip(rows, partners, values, strict=True):
                if own[partner] >= ALIKE:
                    pairs[int(partner), start + int(row)] = float(own[partner])
    for one, other in sorted(pairs, key=lambda pair: -pairs[pair]):
        yield places[one], places[other]


def _contents(examples: ExampleSet) -> list[Content]:
    """Returns for each record its file, or what stands for its content."""
    paths = image_files(examples)
    if paths is not None:
        return [*paths]
    if isinstance(examples.images, StoredImages):
        return [(encoded,) for encoded in examples.images.items.numpy()]
    return [(r.source, r.height, r.width, r.boxes.tobytes()) for r in examples.records]


def _grouped(contents: list[Content], key: Callable) -> Iterator[list[Content]]:
    """Yields contents with equal keys together; a key is not needed of a single one."""
    if len(contents) == 1:
        yield contents
        return
    groups: dict[Hashable, list[Content]] = defaultdict(list)
    for own in contents:
        groups[key(own)].append(own)
    yield from groups.values()


def _size(content: Content) -> Hashable:
    return os.path.getsize(content) if isinstance(content, Path) else content


def _piece(content: Content) -> Hashable:
    if not isinstance(content, Path):
        return content
    with content.open("rb") as file:
        file.seek(os.path.getsize(content) // 2)
        return file.read(_PIECE_BYTES)


def _whole(content: Content) -> Hashable:
    if not isinstance(content, Path):
        return content
    return hashlib.blake2b(content.read_bytes()).digest()
