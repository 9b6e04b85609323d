"""Files of weights: written whole, and never with a value that is not finite."""

import errno
import math
import os
import re
import shutil
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tf_frcnn.runs.safe_files import checksum, replaced

BEST_WEIGHTS = "weights/best.weights.h5"
# Of HDF5's groups and headers, per array.
_BYTES_BESIDE = 4096
# Keras on the first variable that does not fit its file.
_SHAPES = re.compile(
    r"variable\.shape=(\(.*?\)), Received: value\.shape=(\(.*?\))\..* path=([^,]*),"
)


def save_weights(model: keras.Model, path: Path) -> str:
    """Writes a model's weights and the optimizer's state; returns the file's SHA-256.

    Raises:
        ValueError: a weight is not finite; what was there before stays.
        OSError: it cannot be written, for example on a full disk.
    """
    require_finite(model, str(path))
    with replaced(path) as part:
        _require_room(part, _most_bytes(model))
        model.save_weights(part)
        return checksum(part)


def _most_bytes(model: keras.Model) -> int:
    """Returns what a model's file has at most, in bytes."""
    optimizer = getattr(model, "optimizer", None)
    variables = [*model.variables, *(optimizer.variables if optimizer else ())]
    arrays = sum(math.prod(v.shape) * tf.as_dtype(v.dtype).size for v in variables)
    return arrays + _BYTES_BESIDE * (1 + len(variables))


def _require_room(path: Path, size: int) -> None:
    """Raises an OSError unless a file may have so many bytes; leaves it empty.

    HDF5, which has its data in memory up to the end, crashes if it cannot write them.
    """
    with path.open("wb") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
            file.truncate(0)
        elif shutil.disk_usage(path.parent).free < size:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def require_finite(model: keras.Model, name: str) -> None:
    """Raises a ValueError that names the first weight that is not finite.

    Args:
        model: the model.
        name: of the file, for the message.
    """
    for weight in model.weights:
        values = keras.ops.convert_to_numpy(weight)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ValueError(f"{name}: {weight.path} is not finite (NaN or infinite).")


def load_weights(model: keras.Model, path: Path) -> None:
    """Loads weights.

    Raises:
        ValueError: in one line, they do not fit, or are not finite.
    """
    try:
        model.load_weights(path)
    except (ValueError, OSError, KeyError) as error:
        raise ValueError(
            f"{path}: these are not weights of the configured network "
            f"({_reason(error)})."
        ) from error
    require_finite(model, str(path))


def _reason(error: Exception) -> str:
    """Returns in a line what Keras says of weights that do not fit."""
    if found := _SHAPES.search(str(error)):
        needed, stored, path = found.groups()
        return f"{path} has the shape {stored}, but {needed} is needed"
    return str(error).splitlines()[0]
