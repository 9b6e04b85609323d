"""Checks encoded images before training meets them."""

import contextlib
import io
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

import numpy as np
import tensorflow as tf
from PIL import Image, UnidentifiedImageError

from tf_frcnn.data.checks.facts_cache import FactsCache, keep_copy
from tf_frcnn.data.checks.many_parts import require_few_parts
from tf_frcnn.data.checks.memory import Budget
from tf_frcnn.data.checks.orientation import read_orientation
from tf_frcnn.data.checks.parallel import in_order
from tf_frcnn.data.checks.problems import Problems
from tf_frcnn.data.checks.progress import with_progress
from tf_frcnn.data.checks.regular_files import read_regular_file
from tf_frcnn.data.decoding.foreign import (
    FOREIGN_ENDINGS,
    UnreadableImageError,
    foreign_format,
    foreign_pixels,
    to_png,
)

# Of the files that are taken for images.
IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", *FOREIGN_ENDINGS)

# Many cameras write MPO into .jpg files: a JPEG followed by further images.
READABLE_FORMATS = ("JPEG", "MPO", "PNG", "BMP", "GIF")

# For the files, and for the pixels, that threads hold at once.
_FILES, _PIXELS = Budget(2**29), Budget(2**29)
# Of a PNG of 16 bits, and of a progressive JPEG's coefficients.
_BYTES_OF_PIXEL = 6

# Of a channel's 16 bits. With fewer, an image is merely dark.
_NOTABLE_BITS = 2


class ImageFacts(NamedTuple):
    """What was found in an image.

    Attributes:
        stored_height, stored_width: pixels of the image as it is stored.
        orientation: EXIF 1..8.
        unused_bits: the high bits of a channel's 16 that no pixel uses; 0 for 8 bits.
        copy: the path of a copy in PNG, which is read instead; empty: the file itself.
    """

    stored_height: int
    stored_width: int
    orientation: int
    unused_bits: int = 0
    copy: str = ""

    @property
    def upright_size(self) -> tuple[int, int]:
        """(height, width) of the image once turned upright, in pixels."""
        size = (self.stored_height, self.stored_width)
        return size[::-1] if self.orientation >= 5 else size


def inspect_image(image_bytes: bytes) -> ImageFacts:
    """Reads an image's header and decodes it to the end.

    TensorFlow decodes, because its decoders have to cope with the image later; JPEGs at
    one eighth of their size, which finds the same faults sooner.

    Raises:
        UnreadableImageError: if the image is damaged or of another format.
    """
    require_few_parts(image_bytes)
    facts = _read_header(image_bytes)
    with room_for_pixels(facts):
        return _decode(image_bytes, facts)


def _decode(image_bytes: bytes, facts: ImageFacts) -> ImageFacts:
    """Decodes an image; returns its facts, with the bits that it does not use."""
    try:
        if image_bytes.startswith(b"\xff\xd8\xff"):
            tf.io.decode_jpeg(image_bytes, channels=3, ratio=8)
            return facts
        is_png = image_bytes.startswith(b"\x89PNG")
        if is_png and image_bytes[24] == 16:  # The depth in the header.
            pixels = tf.io.decode_png(image_bytes, channels=3, dtype=tf.uint16)
        else:
            pixels = tf.io.decode_image(
                image_bytes, channels=3, expand_animations=False
            )
    except tf.errors.InvalidArgumentError as error:
        reason = error.message.split("}} ")[-1].split(" [Op:")[0]
        raise UnreadableImageError(f"it is damaged or cut off ({reason})") from error
    _require_whole_screen(pixels, facts)
    return facts._replace(unused_bits=_unused_bits(pixels))


def inspect_files(
    paths: Iterable[Path], cache: FactsCache | None = None, *, copies: bool = False
) -> Iterator[ImageFacts | UnreadableImageError]:
    """Inspects files in parallel; yields one result per path, in their order.

    A progress bar appears if it takes long. Only a few files are held at a time.

    Args:
        paths: the files.
        cache: stores the results; files that it knows are not opened again.
        copies: whether images that TensorFlow does not decode get a copy in PNG, which
            whoever reads them has to take instead; otherwise they are unreadable.
    """

    def find(path):
        with _FILES.take(path.stat().st_size):
            return find_in(read_regular_file(path))

    def find_in(data):
        if not copies or foreign_format(data) is None:
            return inspect_image(data)
        with _PIXELS.take(_BYTES_OF_PIXEL * foreign_pixels(data)):
            png = to_png(data)
        return inspect_image(png)._replace(copy=str(keep_copy(png, data)))

    def inspect(path):
        try:
            if cache is None:
                return find(path)
            facts = ImageFacts(*cache.recall_file(path, lambda: find(path)))
            is_complete = not facts.copy or os.path.isfile(facts.copy)
            return facts if is_complete else find(path)
        except UnreadableImageError as error:
            return error
        except OSError as error:
            return UnreadableImageError(error.strerror or str(error))

    paths = list(paths)
    found = in_order(inspect, paths, lambda path: cache and cache.knows_file(path))
    yield from with_progress(found, len(paths), "Checking images")


def read_checked(
    path: Path | str, read: Callable[[Any], bytes] = read_regular_file
) -> tuple[bytes, ImageFacts]:
    """Reads and inspects a file; returns what TensorFlow decodes, and its facts.

    An image of a format that TensorFlow does not decode becomes a PNG in memory.

    Args:
        path: of the file.
        read: returns the bytes of a path.

    Raises:
        UnreadableImageError: the file cannot be read, or is no sound image.
    """
    data = read_decodable(path, read)
    return data, inspect_image(data)


def read_decodable(
    path: Path | str, read: Callable[[Any], bytes] = read_regular_file
) -> bytes:
    """Reads a file as `read_checked` does, and does not inspect it."""
    try:
        data = read(path)
    except OSError as error:
        raise UnreadableImageError(error.strerror or str(error)) from error
    if foreign_format(data) is None:
        return data
    with _PIXELS.take(_BYTES_OF_PIXEL * foreign_pixels(data)):
        return to_png(data)


@contextlib.contextmanager
def room_for_pixels(facts: ImageFacts) -> Iterator[None]:
    """Waits until threads that decode have left memory for an image's pixels."""
    with _PIXELS.take(_BYTES_OF_PIXEL * facts.stored_height * facts.stored_width):
        yield


def is_usable(
    facts: ImageFacts | UnreadableImageError, file: str, problems: Problems
) -> TypeGuard[ImageFacts]:
    """Counts an image that is unreadable or all but black; says whether to take it.

    Args:
        facts: of the image.
        file: its name in messages.
        problems: records `unreadable_image` and `unused_bits`.
    """
    if isinstance(facts, UnreadableImageError):
        problems.add("unreadable_image", file, str(facts))
        return False
    if facts.unused_bits < _NOTABLE_BITS:
        return True
    used = 16 - facts.unused_bits
    detail = (
        f"of its 16 bits a pixel it uses {used}, but the network sees the upper 8: it "
        f"is (all but) black; multiply its values by {2**facts.unused_bits}"
    )
    return problems.add("unused_bits", file, detail) != "drop"


def turn_boxes_upright(boxes: np.ndarray, facts: ImageFacts) -> np.ndarray:
    """Turns boxes that were drawn on the stored image upright.

    Args:
        boxes: float [n, 4], (ymin, xmin, ymax, xmax), continuous corners.
        facts: of the image.

    Returns:
        float [n, 4] in the upright image; see `transforms.turn_upright`.
    """
    height, width = facts.upright_size
    ymin, xmin, ymax, xmax = boxes.T
    if facts.orientation in (5, 6, 7, 8):
        ymin, xmin, ymax, xmax = xmin, ymin, xmax, ymax
    if facts.orientation in (2, 3, 6, 7):
        xmin, xmax = width - xmax, width - xmin
    if facts.orientation in (3, 4, 7, 8):
        ymin, ymax = height - ymax, height - ymin
    return np.stack([ymin, xmin, ymax, xmax], axis=1)


def _read_header(image_bytes: bytes) -> ImageFacts:
    try:
        with Image.open(io.BytesIO(image_bytes)) as image:
            kind, mode, (width, height) = image.format, image.mode, image.size
    except UnidentifiedImageError as error:
        raise UnreadableImageError("it is not an image of a known format") from error
    except Image.DecompressionBombError as error:
        raise UnreadableImageError(f"it is too large ({error})") from error
    except Exception as error:  # Of any type: each format has its own reader.
        raise UnreadableImageError(f"it is damaged or cut off ({error})") from error
    if kind not in READABLE_FORMATS:
        raise UnreadableImageError(f"it is {kind}; convert it to JPEG or PNG")
    # TensorFlow takes the palette's indices for brightness and raises no error.
    if kind == "BMP" and mode == "P":
        raise UnreadableImageError("it is a BMP with a palette; convert it to PNG")
    return ImageFacts(height, width, read_orientation(image_bytes))


def _require_whole_screen(pixels: tf.Tensor, facts: ImageFacts) -> None:
    """Raises UnreadableImageError for a GIF whose first frame is a part of its screen.

    Other programs show, and people draw boxes on, the screen.
    """
    height, width = pixels.shape[:2]
    if (height, width) != (facts.stored_height, facts.stored_width):
        raise UnreadableImageError(
            f"its first frame has {width} x {height} pixels, but its screen "
            f"{facts.stored_width} x {facts.stored_height}; convert it to PNG"
        )


def _unused_bits(pixels: tf.Tensor) -> int:
    """Returns how many of 16 bits no pixel uses; 0 for 8 bits, and for black."""
    if pixels.dtype != tf.uint16:
        return 0
    largest = int(tf.reduce_max(pixels))
    return 16 - largest.bit_length() if largest else 0
