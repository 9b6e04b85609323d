"""Files of weights, whatever program wrote them, as arrays by name."""

import hashlib
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tf_frcnn.backbones.pretrained import read_weights_file
from tf_frcnn.checkpoints.torch_legacy import read_torch_legacy
from tf_frcnn.checkpoints.torch_zip import read_torch_zip

_TORCH_SUFFIXES = (".pth", ".pt", ".bin", ".pkl")
_TF_SUFFIXES = (".index", ".meta")
_KERAS_SUFFIXES = (".h5", ".hdf5")
# Files of PyTorch are ZIP archives, and were pickles before.
_ZIP = b"PK\x03\x04"
_FIRST_BYTES = {_ZIP: ".pth", b"\x80\x02": ".pth", b"\x89HDF": ".h5"}
# What wraps the weights in the files of training programs.
_WRAPPERS = ("model", "state_dict", "model_state_dict", "net")
_PARALLEL = "module."


class CheckpointError(ValueError):
    """A file of weights cannot be read, or is not what it was said to be."""


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
    if read := _reader_of(path):
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file.")
        arrays, settings = read(path)
        digest = sha256_of(path)
    else:
        arrays, settings, digest = _read_tensorflow(path), {}, ""
    if not arrays:
        raise CheckpointError(f"{path}: the file holds no weights.")
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise CheckpointError(
                f"{path}: {name} has values that are not finite; the file is damaged, "
                "or its training diverged."
            )
    return Checkpoint(path, arrays, settings, digest)


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


def first_line(error: BaseException) -> str:
    """Returns the first line of an error's text, or its type where it has none."""
    return (str(error) or type(error).__name__).splitlines()[0]


def listed(names, most: int = 8) -> str:
    """Joins names for a message, of many only the first."""
    names = list(names)
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def _read_torch(path):
    with path.open("rb") as file:
        is_archive = file.read(len(_ZIP)) == _ZIP
    try:
        content = (read_torch_zip if is_archive else read_torch_legacy)(path)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path}: the file wants to run code, or is damaged ({error}); only "
            "tensors are read."
        ) from error
    except (ValueError, OSError) as error:
        raise CheckpointError(
            f"{path}: not a readable file of PyTorch ({first_line(error)})."
        ) from error
    weights, settings = _unwrapped(content)
    if weights is None:
        raise CheckpointError(
            f"{path}: no state dict was found, neither as the whole file nor under "
            f"{listed(_WRAPPERS)}."
        )
    if all(name.startswith(_PARALLEL) for name in weights):
        weights = {n.removeprefix(_PARALLEL): value for n, value in weights.items()}
    return {name: _as_float32(array) for name, array in weights.items()}, settings


def _unwrapped(content):
    """Returns the state dict within what a file holds, and what is beside it."""
    if not isinstance(content, Mapping):
        return None, {}
    if content and all(
        isinstance(name, str) and isinstance(value, np.ndarray)
        for name, value in content.items()
    ):
        return content, {}
    for name in _WRAPPERS:
        if isinstance(content.get(name), Mapping):
            weights, _ = _unwrapped(content[name])
            if weights:
                return weights, {k: v for k, v in content.items() if k != name}
    return None, {}


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
    return {name: _as_float32(array) for name, array in arrays.items()}, {}


def _read_keras(path):
    try:
        layers = read_weights_file(path)
    except ValueError as error:
        raise CheckpointError(
            f"{path}: not a readable HDF5 file with weights of Keras."
        ) from error
    arrays = {
        f"{layer}/{position}": _as_float32(array)
        for layer, own in layers.items()
        for position, array in enumerate(own)
    }
    return arrays, {}


def _read_tensorflow(path):
    if path.is_dir():
        newest = tf.train.latest_checkpoint(str(path))
        if newest is None:
            raise FileNotFoundError(
                f"{path}: the folder holds no file `checkpoint` of TensorFlow; give "
                "the checkpoint itself."
            )
        path = Path(newest)
    prefix = str(path.with_suffix("") if path.suffix in _TF_SUFFIXES else path)
    prefix = prefix.partition(".data-")[0]
    if not (Path(prefix).is_file() or Path(f"{prefix}.index").is_file()):
        raise FileNotFoundError(
            f"{path}: no such file, nor {prefix}.index of a TensorFlow checkpoint."
        )
    try:
        reader = tf.train.load_checkpoint(prefix)
        names = reader.get_variable_to_shape_map()
        return {name: _as_float32(reader.get_tensor(name)) for name in sorted(names)}
    except (tf.errors.OpError, RuntimeError, ValueError) as error:
        raise CheckpointError(
            f"{path}: not a readable checkpoint of TensorFlow, nor a file of PyTorch, "
            f"Keras or safetensors ({first_line(error)})."
        ) from error


def _as_float32(array):
    array = np.asarray(array)
    is_floating = array.dtype.kind == "f" or array.dtype == tf.bfloat16.as_numpy_dtype
    return array.astype(np.float32, copy=False) if is_floating else array
