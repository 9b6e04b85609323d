"""Checks encoded images before training meets them."""

import io
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from PIL import ExifTags, Image, UnidentifiedImageError

from tf_frcnn.data.checks.facts_cache import FactsCache

# Of the files that are taken for images.
IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif")

# Many cameras write MPO into .jpg files: a JPEG followed by further images.
READABLE_FORMATS = ("JPEG", "MPO", "PNG", "BMP", "GIF")


class ImageFacts(NamedTuple):
    """The contents of an image's header.

    Attributes:
        stored_height, stored_width: pixels of the image as it is stored.
        orientation: EXIF 1..8.
    """

    stored_height: int
    stored_width: int
    orientation: int

    @property
    def upright_size(self) -> tuple[int, int]:
        """(height, width) of the image once turned upright, in pixels."""
        size = (self.stored_height, self.stored_width)
        return size[::-1] if self.orientation >= 5 else size


class UnreadableImageError(ValueError):
    """An image cannot be decoded; the message says why."""


def inspect_image(image_bytes: bytes) -> ImageFacts:
    """Reads an image's header and decodes it to the end.

    TensorFlow decodes, because its decoders have to cope with the image later; JPEGs at
    one eighth of their size, which finds the same faults sooner.

    Raises:
        UnreadableImageError: if the image is damaged or of another format.
    """
    facts = _read_header(image_bytes)
    try:
        if tf.io.is_jpeg(image_bytes):
            tf.io.decode_jpeg(image_bytes, channels=3, ratio=8)
        else:
            tf.io.decode_image(image_bytes, channels=3, expand_animations=False)
    except tf.errors.InvalidArgumentError as error:
        reason = error.message.split("}} ")[-1].split(" [Op:")[0]
        raise UnreadableImageError(f"it is damaged or cut off ({reason})") from error
    return facts


def inspect_files(
    paths: Iterable[Path], cache: FactsCache | None = None
) -> Iterator[ImageFacts | UnreadableImageError]:
    """Inspects files in parallel; yields one result per path, in their order.

    Args:
        paths: the files.
        cache: stores the results; files that it knows are not opened again.
    """

    def find(path):
        return inspect_image(path.read_bytes())

    def inspect(path):
        try:
            if cache is None:
                return find(path)
            return ImageFacts(*cache.recall_file(path, lambda: find(path)))
        except UnreadableImageError as error:
            return error
        except OSError as error:
            return UnreadableImageError(error.strerror or str(error))

    with ThreadPoolExecutor() as pool:
        yield from pool.map(inspect, paths)


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
            orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
            kind, mode, (width, height) = image.format, image.mode, image.size
    except UnidentifiedImageError as error:
        raise UnreadableImageError("it is not an image of a known format") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UnreadableImageError(f"it is damaged or cut off ({error})") from error
    if kind not in READABLE_FORMATS:
        raise UnreadableImageError(f"it is {kind}; convert it to JPEG or PNG")
    # TensorFlow takes the palette's indices for brightness and raises no error.
    if kind == "BMP" and mode == "P":
        raise UnreadableImageError("it is a BMP with a palette; convert it to PNG")
    orientation = int(orientation) if orientation in range(1, 9) else 1
    return ImageFacts(height, width, orientation)
