"""Images that lie in archives and can only be read in order, and their checked set."""

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tf_frcnn.data.checks.boxes import DrawnObject
from tf_frcnn.data.checks.facts_cache import FactsCache
from tf_frcnn.data.checks.images import (
    IMAGE_ENDINGS,
    ImageFacts,
    UnreadableImageError,
    inspect_image,
)
from tf_frcnn.data.checks.problems import Problems
from tf_frcnn.data.examples import ExampleSet, Record, repeated, shuffled
from tf_frcnn.data.readers.described import check_described, no_image_left

# Images held in memory for shuffling: so many, and no more than so many bytes.
SHUFFLE_BUFFER = 2048
SHUFFLE_BYTES = 256 * 2**20
# Images that are inspected side by side.
_BLOCK = 32
_STARTS = {b"\xff\xd8": ".jpg", b"\x89PNG": ".png", b"GIF8": ".gif", b"BM": ".bmp"}


class StreamedImage(NamedTuple):
    """An encoded image and its objects as written, unchecked.

    Attributes:
        encoded: the image file's bytes.
        name: of the image file, with or without folders and ending.
        objects: corners are shares of the image's sides; None drops the image.
        size: (height, width) stated beside it, in pixels, or None.
    """

    encoded: bytes
    name: str
    objects: list[DrawnObject] | None
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class SequentialImages:
    """Encoded images that can only be read in order.

    Shuffled, `buffer` images are held in memory and yielded in random order, then the
    next ones: a set no larger than that is shuffled uniformly, a larger one nearly so,
    if its stored order is random already. `tf.data.Dataset.shuffle` would not do, since
    its order also depends on TensorFlow's global seed.

    Attributes:
        dataset: the encoded images, string [], in stored order.
        rows: int64 [stored images], each one's record, -1 for none.
        buffer: number of images.
    """

    dataset: tf.data.Dataset
    rows: np.ndarray
    buffer: int

    fetch = None

    def stream(
        self,
        shuffle_seed: tf.Tensor | None,
        counts: tf.Tensor | None = None,
        *,
        tolerant: bool = False,
        unread: bool = False,
    ) -> tf.data.Dataset:
        """Streams in stored order, or through the shuffle buffer."""
        rows = tf.constant(self.rows)
        images = self.dataset.enumerate()
        images = images.map(lambda place, encoded: (rows[place], encoded))
        images = images.filter(lambda row, _: row >= 0)
        if shuffle_seed is None and counts is None:
            return images
        if shuffle_seed is None:
            raise ValueError("Images that are read in order are repeated shuffled.")

        def mixed(number, block):
            rows, encoded = block
            own = None if counts is None else tf.gather(counts, rows)
            order = repeated(tf.range(tf.size(rows)), own)
            order = shuffled(order, shuffle_seed + number)
            return tf.data.Dataset.from_tensor_slices(order).map(
                lambda place: (rows[place], encoded[place])
            )

        return images.batch(self.buffer).enumerate().flat_map(mixed)

    def read(self, index: tf.Tensor, unread: tf.Tensor) -> tf.Tensor:
        """Returns the bytes, which the stream had to read."""
        return unread

    def select(self, rows: Sequence[int]) -> "SequentialImages":
        """Returns the source of these rows only."""
        new_rows = np.full(max(self.rows.max(), 0) + 2, -1)  # the last one is for -1
        new_rows[list(rows)] = np.arange(len(rows))
        return SequentialImages(self.dataset, new_rows[self.rows], self.buffer)


def read_streamed(
    name: str,
    dataset: tf.data.Dataset,
    images: Iterable[StreamedImage],
    class_names: tuple[str, ...],
    problems: Problems,
    cache_name: str | Path,
    *,
    one_based: bool = False,
) -> ExampleSet:
    """Opens and checks images and their objects, one pass over all.

    Args:
        name: of the set.
        dataset: the encoded images, string [], in the order of `images`.
        images: the same with their objects.
        class_names: K names; label k is the k-th.
        problems: records every fault.
        cache_name: of the `FactsCache`.
        one_based: whether corners are whole pixels that count from 1, inclusive.

    Raises:
        DataError: no image can be used, or the policy says so.
    """
    records: dict[str, Record] = {}
    rows: list[int] = []
    num_bytes = 0
    with FactsCache(cache_name) as cache:
        for image, facts in _inspected(images, cache):
            num_bytes += len(image.encoded)
            record = _record(image, facts, class_names, problems, one_based)
            if record is not None and record.image_id in records:
                record = record._replace(image_id=f"{record.image_id}_{len(rows)}")
            rows.append(-1 if record is None else len(records))
            if record is not None:
                records[record.image_id] = record
    if not records:
        raise no_image_left(name, problems)
    held = max(1, min(SHUFFLE_BUFFER, SHUFFLE_BYTES * len(rows) // max(1, num_bytes)))
    source = SequentialImages(dataset, np.array(rows, np.int64), held)
    return ExampleSet(name, class_names, tuple(records.values()), problems, source)


def _inspected(
    images: Iterable[StreamedImage], cache: FactsCache
) -> Iterator[tuple[StreamedImage, ImageFacts | UnreadableImageError]]:
    """Yields images and their facts in order, some at a time in parallel."""

    def inspect(image):
        encoded = image.encoded
        stamp = (len(encoded), hashlib.blake2b(encoded).hexdigest())
        try:
            facts = cache.recall(image.name, stamp, lambda: inspect_image(encoded))
            return ImageFacts(*facts)
        except UnreadableImageError as error:
            return error

    images = iter(images)
    with ThreadPoolExecutor() as pool:
        while block := list(itertools.islice(images, _BLOCK)):
            yield from zip(block, pool.map(inspect, block), strict=True)


def _record(
    image: StreamedImage,
    facts: ImageFacts | UnreadableImageError,
    class_names: tuple[str, ...],
    problems: Problems,
    one_based: bool,
) -> Record | None:
    """Returns the checked record, or None if the image is dropped."""
    if isinstance(facts, UnreadableImageError):
        problems.add("unreadable_image", image.name, str(facts))
        return None
    if image.objects is None:
        return None
    checked = check_described(
        image.objects,
        image.size,
        facts,
        class_names,
        problems,
        image.name,
        as_shares=True,
        one_based=one_based,
    )
    if checked is None:
        return None
    height, width = facts.upright_size
    path = PurePosixPath(image.name.replace("\\", "/").lstrip("/"))
    source = str(path)
    if path.suffix.lower() in IMAGE_ENDINGS:
        path = path.with_suffix("")
    else:
        source += _ending(image.encoded)
    return Record(str(path), source, height, width, facts.orientation, *checked)


def _ending(encoded: bytes) -> str:
    return next((e for start, e in _STARTS.items() if encoded.startswith(start)), "")
