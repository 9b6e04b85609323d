"""Files of a run, and errors of one line that name those that cannot be written."""

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from tf_frcnn.drawing.boxes import write_jpeg, write_png
from tf_frcnn.runs.safe_files import replaced

# The system's words for its errors, with which TensorFlow ends the first line of its.
_NUMBERS = {os.strerror(number): number for number in errno.errorcode}
_OPERATION = re.compile(r" \[Op:.*")


@contextlib.contextmanager
def named_errors(path: Path) -> Iterator[None]:
    """Raises what the system says of writing as an OSError that names a file.

    Args:
        path: the file, or the folder, that is written.

    Raises:
        OSError: Python, or TensorFlow, could not write it.
    """
    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        number = _number_of(error)
        if number is None:
            raise
        message = f"{path} could not be written: {os.strerror(number)}."
        raise OSError(number, message) from error


def write_image(path: Path, image: np.ndarray) -> None:
    """Writes an image, uint8 [h, w, 3]; see `safe_files.replaced`.

    Args:
        path: with the ending .jpg for a JPEG, any other one for a PNG.
        image: RGB.
    """
    with replaced(path) as part:
        if path.suffix == ".jpg":
            write_jpeg(part, image)
        else:
            write_png(part, image)


def _number_of(error: OSError | tf.errors.OpError) -> int | None:
    """Returns the system's number of an error; None if it is not the system's."""
    if isinstance(error, OSError):
        return error.errno
    first, *_ = error.message.splitlines() or [""]
    return _NUMBERS.get(_OPERATION.sub("", first).rpartition("; ")[2])
