"""Images that vanish or break after they were checked: tried again, then replaced.

The graph reads and decodes. Only where it fails, or where an image has another size
than its record, is Python asked, which reads again and finds another image.
"""

import threading
import time
import warnings
import weakref

import numpy as np
import tensorflow as tf

from tf_frcnn.data.checks.images import inspect_image
from tf_frcnn.data.checks.problems import FILES_NAMED, REPLACED, Problem, one_line
from tf_frcnn.data.decoding.byte_fields import attempt
from tf_frcnn.data.decoding.foreign import UnreadableImageError
from tf_frcnn.data.decoding.transforms import (
    decode_image,
    decode_stored,
    turn_upright,
)
from tf_frcnn.data.examples import ExampleSet
from tf_frcnn.data.pipeline.record_table import RecordTable
from tf_frcnn.data.pipeline.tensor_examples import BAD_DATA

# Seconds before the second and before the third reading of an image.
PAUSES = (1.0, 2.0)


class Replacements:
    """Finds images in the place of those that can no longer be read.

    Args:
        examples: the data set; in training its `problems` get what is found.
        groups: int64 [n], images of one group share a canvas.
        max_unreadable: largest number of such images, each counted once; None where no
            other image may take the place of one, as in an evaluation. None can where
            images only come in order.
    """

    def __init__(
        self, examples: ExampleSet, groups: np.ndarray, max_unreadable: int | None
    ):
        self._examples, self._groups = examples, groups
        can_fetch = examples.images.fetch is not None
        self._max_unreadable = max_unreadable if can_fetch else None
        self._reasons: dict[int, str] = {}
        self._lock = threading.Lock()

    def find(self, row: np.ndarray, encoded: bytes) -> tuple[np.int64, np.ndarray]:
        """Reads an image again, or the next one of its group that can be read.

        If its group has none, it is the next one of any group. Which it is follows from
        the files and from what was found unreadable before.

        Args:
            row: int64 [], of an image that was not read, not decoded, or has another
                size than its record.
            encoded: its bytes, as far as there are any.

        Returns:
            The row and the pixels, uint8 [h, w, 3], of an image that has the size of
                its record.

        Raises:
            ValueError: too many cannot be read, or none can take its place; the message
                has `BAD_DATA`.
        """
        own, limit = int(row), self._max_unreadable
        for candidate in self._candidates(own):
            if candidate not in self._reasons:
                try:
                    return np.int64(candidate), self._read(candidate, own, encoded)
                except (OSError, UnreadableImageError) as error:
                    self._note(candidate, getattr(error, "strerror", None) or error)
            if limit is not None and len(self._reasons) > limit:
                raise self._too_many()
        raise _bad_data(
            f"{self._named(own)}, and no other image can take its place. Restore it, "
            "or read the data again, which leaves it out"
        )

    def _candidates(self, own: int) -> list[int]:
        """Returns the row itself, then those that may replace it, the first first."""
        if self._max_unreadable is None:
            return [own]
        rows = np.roll(np.arange(len(self._groups)), -own)
        is_other = self._groups[rows] != self._groups[own]
        return rows[np.argsort(is_other, kind="stable")].tolist()

    def _read(self, row: int, own: int, encoded: bytes) -> np.ndarray:
        """Returns an image's pixels; raises the last error if it cannot be read."""
        fetch = self._examples.images.fetch
        if fetch is None:
            return self._decoded(row, encoded)
        # The graph has made the first attempt for the row itself.
        pauses = PAUSES if row == own else (0.0, *PAUSES)
        for pause in pauses:
            time.sleep(pause)
            try:
                return self._decoded(row, fetch(row))
            except (OSError, UnreadableImageError) as error:
                last = error
        raise last

    def _decoded(self, row: int, encoded: bytes) -> np.ndarray:
        record = self._examples.records[row]
        height, width = inspect_image(encoded).upright_size
        if (height, width) != (record.height, record.width):
            raise UnreadableImageError(
                f"it has {width} x {height} pixels, not {record.width} x "
                f"{record.height} any more"
            )
        with tf.device("CPU:0"):
            return decode_image(tf.constant(encoded), record.orientation).numpy()

    def _note(self, row: int, reason: object) -> None:
        """Counts an image once, and warns of it unless that is left to an error."""
        with self._lock:
            if row in self._reasons:
                return
            self._reasons[row] = str(reason)
            count = len(self._reasons)
        if self._max_unreadable is None:
            return
        source, detail = self._examples.records[row].source, f"in training: {reason}"
        problem = Problem(
            "unreadable_image", one_line(source), one_line(detail), REPLACED
        )
        if problem not in self._examples.problems.rows:
            self._examples.problems.rows.append(problem)
        if count <= self._max_unreadable:
            warnings.warn(
                f"{self._named(row)}; another image takes its place. It is number "
                f"{count} of at most {self._max_unreadable} (data.max_unreadable).",
                stacklevel=2,
            )

    def _too_many(self) -> ValueError:
        rows = list(self._reasons)
        named = ", ".join(self._named(row) for row in rows[:FILES_NAMED])
        more = len(rows) - FILES_NAMED
        return _bad_data(
            f"{named}{f', and {more} more' if more > 0 else ''}: that is more than "
            f"data.max_unreadable = {self._max_unreadable} allows. Restore the files, "
            "or read the data again, which leaves out what is missing"
        )

    def _named(self, row: int) -> str:
        source = self._examples.records[row].source
        return one_line(f"{source} can no longer be read ({self._reasons[row]})")


def _bad_data(message: str) -> ValueError:
    return ValueError(f"{BAD_DATA}: {message}")


def read_image(
    item: tuple[tf.Tensor, tf.Tensor], table: RecordTable, replacements: Replacements
) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes an image, or the one that replaces it.

    Args:
        item: (row int64 [], bytes string []); no bytes where it could not be read.
        table: of the records.
        replacements: of the same data set.

    Returns:
        int64 [], the row of the image that is returned.
        uint8 [h, w, 3], RGB.

    Raises:
        tf.errors.InvalidArgumentError: none can be returned; the message has
            `BAD_DATA`.
    """
    row, encoded = item
    nothing = tf.zeros([0, 0, 3], tf.uint8)
    (image,) = attempt(lambda data: (decode_stored(data),), encoded, (nothing,))
    # An attempt takes its time for each operation: this one cannot fail.
    image = turn_upright(image, table.orientations[row])
    is_whole = tf.reduce_all(tf.shape(image)[:2] == table.sizes[row])
    # TensorFlow keeps the function to the end of the process, but not the data set.
    reference = weakref.proxy(replacements)

    def replaced():
        other, pixels = tf.numpy_function(
            lambda *item: reference.find(*item), [row, encoded], (tf.int64, tf.uint8)
        )
        return tf.ensure_shape(other, []), tf.ensure_shape(pixels, [None, None, 3])

    return tf.cond(is_whole, lambda: (row, image), replaced)
