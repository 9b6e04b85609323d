"""Files of weights, whatever program wrote them, as arrays by name."""

import hashlib
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tf_frcnn.backbones.pretrained import read_weights_file
from tf_frcnn.backbones.weight_files import require_room
from tf_frcnn.checkpoints.errors import CheckpointError, first_line, listed
from tf_frcnn.checkpoints.state_dicts import WRAPPERS, unwrapped, without_prefixes
from tf_frcnn.checkpoints.tensorflow_files import read_tensorflow
from tf_frcnn.checkpoints.torch_legacy import read_torch_legacy
from tf_frcnn.checkpoints.torch_zip import read_torch_zip

_TORCH_SUFFIXES = (".pth", ".pt", ".bin", ".pkl")
_KERAS_SUFFIXES = (".h5", ".hdf5")
# Files of PyTorch are ZIP archives, and were pickles before.
_ZIP = b"PK\x03\x04"
_FIRST_BYTES = {_ZIP: ".pth", b"\x80\x02": ".pth", b"\x89HDF": ".h5"}
_BFLOAT16 = tf.bfloat16.as_numpy_dtype


class Checkpoint(NamedTuple):
    """The contents of a file of weights.

    Attributes:
        path: of the file.
        arrays: name -> array, floating numbers as float32.
        settings: what else the file holds, where its weights are wrapped.
        sha256: of the file's bytes in hexadecimal; empty for TensorFlow's, which are
            several files.
    """

    path: Path
    arrays: Mapping[str, np.ndarray]
    settings: Mapping[str, Any] = {}
    sha256: str = ""


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Reads a checkpoint of PyTorch, safetensors, Keras or TensorFlow.

    Args:
        path: a file of PyTorch or Keras (HDF5), whatever its ending, a file
            .safetensors, the name of a TensorFlow checkpoint with or without its
            ending, or the folder of one. Arrays of Keras are named "layer/position".

    Raises:
        FileNotFoundError: there is no such file.
        CheckpointError: the file is damaged, wants to run code, or holds no weights, or
            a weight is not finite.
        ImportError: safetensors is needed and not installed.
    """
    path = Path(path)
    try:
        checkpoint = _read(path)
    except (CheckpointError, FileNotFoundError, ImportError):
        raise
    except Exception as error:  # A damaged file may raise almost any.
        raise CheckpointError(
            f"{path}: the file is damaged ({first_line(error)})."
        ) from error
    if not checkpoint.arrays:
        raise CheckpointError(f"{path}: the file holds no weights.")
    return checkpoint._replace(
        arrays={n: _checked(path, n, a) for n, a in checkpoint.arrays.items()}
    )


def _read(path: Path) -> Checkpoint:
    if read := _reader_of(path):
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file.")
        arrays, settings = read(path)
        claimed = sum(array.nbytes for array in arrays.values())
        require_room(claimed, path.stat().st_size)
        return Checkpoint(path, arrays, settings, sha256_of(path))
    return Checkpoint(path, read_tensorflow(path))


def _checked(path, name, array):
    """Returns an array, as finite float32 if its numbers are no whole ones."""
    if array.dtype.kind == "f" or array.dtype == _BFLOAT16:
        array = array.astype(np.float32, copy=False)
        if not np.isfinite(array).all():
            raise CheckpointError(
                f"{path}: {name} has values that are not finite; the file is damaged, "
                "or its training diverged."
            )
    return array


def _reader_of(path):
    """Returns what reads a file by its ending, or else by its first bytes.

    None stands for TensorFlow.
    """
    readers = dict.fromkeys(_TORCH_SUFFIXES, _read_torch)
    readers |= dict.fromkeys(_KERAS_SUFFIXES, _read_keras)
    readers[".safetensors"] = _read_safetensors
    if path.suffix in readers or not path.is_file():
        return readers.get(path.suffix)
    with path.open("rb") as file:
        first = file.read(max(map(len, _FIRST_BYTES)))
    for magic, suffix in _FIRST_BYTES.items():
        if first.startswith(magic):
            return readers[suffix]
    return None


def sha256_of(path: Path) -> str:
    """Returns the SHA-256 of a file's bytes in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_torch(path):
    with path.open("rb") as file:
        is_archive = file.read(len(_ZIP)) == _ZIP
    try:
        content = (read_torch_zip if is_archive else read_torch_legacy)(path)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path}: the file wants to run code, or is damaged ({error}); only "
            "tensors and plain values are read. If it is whole, save its weights alone "
            "in the program that wrote it: torch.save(model.state_dict(), "
            "'weights.pth')."
        ) from error
    except (ValueError, OSError) as error:
        raise CheckpointError(
            f"{path}: not a readable file of PyTorch ({first_line(error)})."
        ) from error
    weights, settings = unwrapped(content)
    if weights is None:
        found = f"; it has {listed(content)}" if isinstance(content, Mapping) else ""
        raise CheckpointError(
            f"{path}: no state dict was found, neither as the whole file nor under "
            f"{listed(WRAPPERS)}{found}."
        )
    return without_prefixes(weights), settings


def _read_safetensors(path):
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file
    except ImportError as error:
        raise ImportError(
            f"{path}: reading it needs safetensors; install it by "
            'pip install "tf-frcnn[safetensors]".'
        ) from error
    try:
        arrays = load_file(path)
    except (SafetensorError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path}: not a readable safetensors file ({first_line(error)}); weights "
            "must be float32 or float16."
        ) from error
    return without_prefixes(arrays), {}


def _read_keras(path):
    try:
        layers = read_weights_file(path)
    except ValueError as error:
        reason = str(error).removeprefix(f"backbone.weights = {str(path)!r}: ")
        raise CheckpointError(f"{path}: {reason}") from error
    arrays = {
        f"{layer}/{position}": array
        for layer, own in layers.items()
        for position, array in enumerate(own)
    }
    return arrays, {}
