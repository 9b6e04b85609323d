"""What tells copies of images: a digest of the bytes, and how an image looks.

An image looks like its smallest grey copy of `SIDE` x `SIDE` pixels. It is compared by
the differences between neighbouring pixels, which another encoding, size or brightness
leaves nearly as they are. A difference hash has their signs alone, so that drawings on
an even ground are all alike to it.
"""

import base64
import hashlib
import io
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from tf_frcnn.data.checks.facts_cache import FactsCache
from tf_frcnn.data.checks.parallel import in_order
from tf_frcnn.data.checks.progress import with_progress
from tf_frcnn.data.examples import ExampleSet, StoredImages

SIDE = 17
# JPEGs are decoded at a fraction of their size that is at least this one.
_DECODED_SIDE = 4 * SIDE


class Fingerprint(NamedTuple):
    """What tells copies of an image.

    Attributes:
        digest: of the file's bytes, in hexadecimal.
        looks: its smallest grey copy, upright, uint8 [SIDE * SIDE] in base64; empty
            where Pillow cannot read the image.
    """

    digest: str
    looks: str


def image_files(examples: ExampleSet) -> list[Path] | None:
    """Returns the file of each record; None where images lie in archives or memory."""
    images = examples.images
    if isinstance(images, StoredImages) and images.are_paths:
        return [Path(record.source) for record in examples.records]
    return None


def fingerprints(examples: ExampleSet) -> list[Fingerprint]:
    """Reads all images once; returns the fingerprint of each record.

    Those of files are kept in a `FactsCache`. Several images are read side by side, and
    a bar is shown if it takes long.
    """
    paths = image_files(examples)
    total = len(examples.records)
    if paths is not None:
        found = with_progress(_of_files(paths), total, "Comparing images")
        return list(found)
    encoded = examples.stream().as_numpy_iterator()
    results = in_order(lambda pair: (pair[0], fingerprint(pair[1])), encoded)
    by_row = dict(with_progress(results, total, "Comparing images"))
    return [by_row[row] for row in range(total)]


def fingerprint(image_bytes: bytes) -> Fingerprint:
    """Returns what tells copies of an encoded image."""
    digest = hashlib.blake2b(image_bytes, digest_size=16).hexdigest()
    try:
        with warnings.catch_warnings():  # Of odd notes in a file; it was checked.
            warnings.simplefilter("ignore")
            looks = _looks(image_bytes)
    except Exception:  # Of any type: each format has its own reader.
        looks = b""
    return Fingerprint(digest, base64.b64encode(looks).decode())


def features(found: list[Fingerprint]) -> np.ndarray:
    """Returns how images look, as vectors whose product is their likeness.

    Args:
        found: of n images.

    Returns:
        float32 [n, 2 * SIDE * (SIDE - 1)], of length 1; of length 0 where an image is
        all of one brightness, or could not be read.
    """
    empty = bytes(SIDE * SIDE)
    pixels = b"".join(base64.b64decode(one.looks) or empty for one in found)
    grey = np.frombuffer(pixels, np.uint8).reshape(-1, SIDE, SIDE).astype(np.float32)
    parts = [np.diff(grey, axis=axis).reshape(len(grey), -1) for axis in (1, 2)]
    vectors = np.concatenate(parts, axis=1)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths < SIDE, np.inf, lengths)


def _of_files(paths: list[Path]) -> Iterator[Fingerprint]:
    with FactsCache(f"{_folder_of(paths)}#looks{SIDE}") as cache:

        def find(path: Path) -> Fingerprint:
            facts = cache.recall_file(path, lambda: fingerprint(_read(path)))
            return Fingerprint(*facts)

        yield from in_order(find, paths, cache.knows_file)


def _folder_of(paths: list[Path]) -> str:
    """Returns the folder of the first image, which splits mostly share."""
    return os.path.dirname(os.path.abspath(paths[0]))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # It was there when the set was read.
        return b""


def _looks(image_bytes: bytes) -> bytes:
    with Image.open(io.BytesIO(image_bytes)) as image:
        image.draft("L", (_DECODED_SIDE, _DECODED_SIDE))
        # 16 bits would be cut off at 255.
        grey = image if image.mode.startswith("I") else image.convert("L")
        small = grey.resize((SIDE, SIDE), Image.Resampling.BOX)
        small.info = image.info  # With the note of how it is turned.
        values = np.asarray(ImageOps.exif_transpose(small), np.float32)
    return (values / max(1.0, values.max() / 255.0)).round().astype(np.uint8).tobytes()
