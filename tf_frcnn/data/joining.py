"""Several sets as one."""

import functools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tf_frcnn.data.checks.problems import DataError, Problems
from tf_frcnn.data.examples import ExampleSet, ImageSource, repeated, shuffled


def concatenate(sets: Sequence[ExampleSet]) -> ExampleSet:
    """Returns one set of all records; each set's images are spread evenly over it.

    Raises:
        DataError: if the sets differ in their classes or share an image id.
    """
    for other in sets[1:]:
        if other.class_names != sets[0].class_names:
            raise DataError(
                f"{sets[0].name} has the classes {sets[0].class_names} but "
                f"{other.name} has {other.class_names}; read both with the same "
                "class_names."
            )
    records = tuple(record for one in sets for record in one.records)
    (repeated, times), *_ = Counter(r.image_id for r in records).most_common(1)
    if times > 1:
        raise DataError(
            f"{' + '.join(one.name for one in sets)}: the image id {repeated!r} occurs "
            "more than once; rename one of the files."
        )
    return ExampleSet(
        name=" + ".join(one.name for one in sets),
        class_names=sets[0].class_names,
        records=records,
        problems=Problems(rows=[row for one in sets for row in one.problems.rows]),
        images=JoinedImages(tuple((one.images, len(one.records)) for one in sets)),
    )


@dataclass(frozen=True)
class JoinedImages:
    """Several sources one after the other.

    Shuffled, the next image's source is drawn at random in proportion to what each
    still holds, so that shuffled parts give a shuffled whole.

    Attributes:
        parts: (source, number of images) of each.
    """

    parts: tuple[tuple[ImageSource, int], ...]

    def stream(
        self,
        shuffle_seed: tf.Tensor | None,
        counts: tf.Tensor | None = None,
        *,
        tolerant: bool = False,
        unread: bool = False,
    ) -> tf.data.Dataset:
        """Streams the parts in turn, or mixed."""
        sizes = [size for _, size in self.parts]
        own = [None] * len(sizes) if counts is None else tf.split(counts, sizes)
        offsets = np.cumsum([0, *sizes])
        streams = [
            source.stream(
                None if shuffle_seed is None else shuffle_seed + 1 + part,
                own[part],
                tolerant=tolerant,
                unread=unread,
            ).map(
                lambda index, image, offset=int(offsets[part]): (index + offset, image)
            )
            for part, (source, _) in enumerate(self.parts)
        ]
        turns = repeated(tf.constant(np.repeat(np.arange(len(sizes)), sizes)), counts)
        turns = shuffled(turns, shuffle_seed)
        return tf.data.Dataset.choose_from_datasets(
            streams,
            tf.data.Dataset.from_tensor_slices(turns),
            stop_on_empty_dataset=False,
        )

    def read(self, index: tf.Tensor, unread: tf.Tensor) -> tf.Tensor:
        """Returns the bytes of an image, as its part reads them."""
        ends = np.cumsum([size for _, size in self.parts])
        part = tf.searchsorted(tf.constant(ends), index[tf.newaxis], side="right")[0]
        starts = [0, *ends[:-1].tolist()]
        reads = [
            functools.partial(source.read, index - start, unread)
            for (source, _), start in zip(self.parts, starts, strict=True)
        ]
        return tf.switch_case(part, reads)

    @property
    def fetch(self) -> Callable[[int], bytes] | None:
        """Reads the image of a row, if all parts can do so."""
        reads = [source.fetch for source, _ in self.parts if source.fetch]
        starts = np.cumsum([0, *(size for _, size in self.parts)])

        def fetch(row: int) -> bytes:
            part = int(np.searchsorted(starts, row, side="right")) - 1
            return reads[part](row - int(starts[part]))

        return fetch if len(reads) == len(self.parts) else None

    def select(self, rows: Sequence[int]) -> "JoinedImages":
        """Returns the source of these rows only."""
        parts, offset = [], 0
        for source, size in self.parts:
            inside = [row - offset for row in rows if offset <= row < offset + size]
            if inside:
                parts.append((source.select(inside), len(inside)))
            offset += size
        return JoinedImages(tuple(parts))
