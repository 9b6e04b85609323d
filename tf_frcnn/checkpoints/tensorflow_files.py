"""Checkpoints of TensorFlow, of either version, as arrays by name."""

import math
from pathlib import Path

import numpy as np
import tensorflow as tf

from tf_frcnn.backbones.weight_files import require_room
from tf_frcnn.checkpoints.errors import CheckpointError, first_line

_SUFFIXES = (".index", ".meta")


def read_tensorflow(path: Path) -> dict[str, np.ndarray]:
    """Reads a checkpoint by its name, with or without its ending, or of a folder.

    Raises:
        FileNotFoundError: there is no such checkpoint.
        CheckpointError: it is damaged, or the folder's newest lies outside of it.
    """
    if path.is_dir():
        path = _newest(path)
    prefix = str(path.with_suffix("") if path.suffix in _SUFFIXES else path)
    prefix = prefix.partition(".data-")[0]
    if not (Path(prefix).is_file() or Path(f"{prefix}.index").is_file()):
        raise FileNotFoundError(
            f"{path}: no such file, nor {prefix}.index of a TensorFlow checkpoint."
        )
    files = Path(prefix).parent.glob(f"{Path(prefix).name}*")
    size = sum(file.stat().st_size for file in files)
    try:
        reader = tf.train.load_checkpoint(prefix)
        shapes = reader.get_variable_to_shape_map()
        types = reader.get_variable_to_dtype_map()
        require_room(sum(math.prod(shapes[n]) * types[n].size for n in shapes), size)
        return {name: np.asarray(reader.get_tensor(name)) for name in sorted(shapes)}
    except Exception as error:  # Damaged files raise almost any.
        raise CheckpointError(
            f"{path}: not a readable checkpoint of TensorFlow, nor a file of PyTorch, "
            f"Keras or safetensors ({first_line(error)})."
        ) from error


def _newest(folder: Path) -> Path:
    """Returns the newest checkpoint of a folder, which lies in it."""
    newest = tf.train.latest_checkpoint(str(folder))
    if newest is None:
        raise FileNotFoundError(
            f"{folder}: the folder holds no file `checkpoint` of TensorFlow; give "
            "the checkpoint itself."
        )
    if Path(newest).resolve().parent != folder.resolve():
        raise CheckpointError(
            f"{folder}: its file `checkpoint` names {newest}, which lies elsewhere; "
            "give the checkpoint itself."
        )
    return Path(newest)
