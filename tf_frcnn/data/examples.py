"""The result of a reader: records, and the images' encoded bytes as a stream."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from tf_frcnn.data.checks.problems import DataError, Problems
from tf_frcnn.data.checks.regular_files import read_regular_file
from tf_frcnn.data.decoding.byte_fields import attempt


class Record(NamedTuple):
    """The checked annotation of one image.

    Attributes:
        image_id: the file's name without its ending, after the subfolders it lies in.
        source: the file's path, or its name where the image lies in an archive.
        height, width: pixels of the upright image.
        orientation: EXIF 1..8, how the stored image is turned.
        boxes: float32 [n, 4], (ymin, xmin, ymax, xmax), continuous corners in pixels
            of the upright image.
        labels: int32 [n] in 0..K-1.
        difficult: bool [n].
        crowd: bool [n], boxes of a region of many objects, each of which counts
            neither as an object nor as background.
    """

    image_id: str
    source: str
    height: int
    width: int
    orientation: int
    boxes: np.ndarray
    labels: np.ndarray
    difficult: np.ndarray
    crowd: np.ndarray

    @property
    def flat_id(self) -> str:
        """The image id as the name of a file: with _ for the / between folders."""
        return self.image_id.replace("/", "_")


class ImageSource(Protocol):
    """A source of the encoded images of a set; image i belongs to record i."""

    def stream(
        self,
        shuffle_seed: tf.Tensor | None,
        counts: tf.Tensor | None = None,
        *,
        tolerant: bool = False,
        unread: bool = False,
    ) -> tf.data.Dataset:
        """Returns (index int64 [], bytes string []) of each image.

        Args:
            shuffle_seed: decides the order; None keeps the stored one.
            counts: int64 [n], how often each comes; None: once.
            tolerant: whether an image that cannot be read has no bytes, instead of
                ending the stream.
            unread: whether there is what `read` takes, instead of bytes.
        """

    def read(self, index: tf.Tensor, unread: tf.Tensor) -> tf.Tensor:
        """Returns the bytes of an image of a stream of unread ones, string [].

        It has none if it cannot be read.
        """

    @property
    def fetch(self) -> Callable[[int], bytes] | None:
        """Reads the image of a row; None where images only come in order."""

    def select(self, rows: Sequence[int]) -> "ImageSource":
        """Returns the source of the given rows, which rise."""


@dataclass(frozen=True)
class ExampleSet:
    """A data set that was read and checked.

    Attributes:
        name: its name in messages and reports.
        class_names: K names; label k is the k-th.
        records: one per image, in stored order; dropped images are not among them.
        problems: the faults found while reading.
        images: the images' bytes; use `stream`.
    """

    name: str
    class_names: tuple[str, ...]
    records: tuple[Record, ...]
    problems: Problems
    images: ImageSource

    @property
    def max_boxes(self) -> int:
        """Largest number of boxes of any record, at least 1: the G of its batches."""
        return max([1, *(len(record.boxes) for record in self.records)])

    @property
    def has_crowds(self) -> bool:
        """Whether any record has a crowd region."""
        return any(record.crowd.any() for record in self.records)

    def stream(
        self,
        shuffle_seed: tf.Tensor | None = None,
        counts: tf.Tensor | None = None,
        *,
        tolerant: bool = False,
        unread: bool = False,
    ) -> tf.data.Dataset:
        """Streams the encoded images, each exactly once unless `counts` says otherwise.

        Args:
            shuffle_seed: int64 [], decides the order; may be a tensor of a tf.data
                function. None keeps the stored order.
            counts: int64 [n], how often each image comes; likewise.
            tolerant: whether an image that cannot be read has no bytes, instead of
                ending the stream.
            unread: whether there is what `images.read` takes, instead of bytes.

        Returns:
            A dataset of (index int64 [] into `records`, bytes string []).
        """
        return self.images.stream(
            shuffle_seed, counts, tolerant=tolerant, unread=unread
        )

    def with_classes(self, class_names: Sequence[str]) -> "ExampleSet":
        """Returns the set with its classes in the given order.

        Raises:
            DataError: the set has other classes.
        """
        class_names = tuple(class_names)
        if sorted(class_names) != sorted(self.class_names):
            raise DataError(
                f"{self.name} has the classes {', '.join(self.class_names)}, not "
                f"{', '.join(class_names)}."
            )
        new_labels = np.array([class_names.index(n) for n in self.class_names])
        records = tuple(
            record._replace(labels=new_labels[record.labels].astype(np.int32))
            for record in self.records
        )
        return replace(self, class_names=class_names, records=records)

    def subset(self, indices: Iterable[int]) -> "ExampleSet":
        """Returns the set of the records with these indices, in stored order.

        The problems stay with the whole set, so the subset has none.
        """
        rows = sorted(set(indices))
        return replace(
            self,
            records=tuple(self.records[row] for row in rows),
            problems=Problems(),
            images=self.images.select(rows),
        )


@dataclass(frozen=True)
class StoredImages:
    """Images that can be fetched in any order: files, or bytes held in memory.

    Attributes:
        items: string [n], paths or encoded images. A tensor, not a list: a list would
            be copied into the graph of every dataset, whose size is limited.
        are_paths: whether `items` are paths.
    """

    items: tf.Tensor
    are_paths: bool

    def stream(
        self,
        shuffle_seed: tf.Tensor | None,
        counts: tf.Tensor | None = None,
        *,
        tolerant: bool = False,
        unread: bool = False,
    ) -> tf.data.Dataset:
        """Streams in stored order, or in a uniformly random one."""
        order = tf.range(tf.size(self.items, out_type=tf.int64))
        order = shuffled(repeated(order, counts), shuffle_seed)

        def read(index):
            item = self.items[index]
            if unread or not self.are_paths:
                return index, item
            return index, _read_or_empty(item) if tolerant else tf.io.read_file(item)

        return tf.data.Dataset.from_tensor_slices(order).map(
            read, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
        )

    def read(self, index: tf.Tensor, unread: tf.Tensor) -> tf.Tensor:
        """Returns the bytes of an image, none if it cannot be read."""
        return _read_or_empty(unread) if self.are_paths else unread

    def fetch(self, row: int) -> bytes:
        """Returns the bytes of one image, read anew.

        Raises:
            OSError: the file cannot be read.
        """
        item = self.items[row].numpy()
        return read_regular_file(Path(os.fsdecode(item))) if self.are_paths else item

    def select(self, rows: Sequence[int]) -> "StoredImages":
        """Returns the source of these rows only."""
        return StoredImages(tf.gather(self.items, rows), self.are_paths)


def _read_or_empty(path: tf.Tensor) -> tf.Tensor:
    """Returns the bytes of a file, none if it cannot be read; strings []."""
    (data,) = attempt(lambda path: (tf.io.read_file(path),), path, (tf.constant(""),))
    return data


def repeated(values: tf.Tensor, counts: tf.Tensor | None) -> tf.Tensor:
    """Returns values [n], each as often in a row as int64 [n] says; None: once."""
    return values if counts is None else tf.repeat(values, counts)


def shuffled(values: tf.Tensor, seed: tf.Tensor | None) -> tf.Tensor:
    """Permutes a vector uniformly at random; the seed alone decides the order.

    Args:
        values: any dtype [n].
        seed: int64 [], or None for the given order.

    Returns:
        The same values, [n].
    """
    if seed is None:
        return values
    return tf.random.experimental.stateless_shuffle(
        values, seed=tf.stack([seed, tf.zeros_like(seed)]), alg="philox"
    )
