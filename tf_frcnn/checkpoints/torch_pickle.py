"""Pickles of PyTorch, read without PyTorch and without running code.

A pickle names functions and says with what they are called. Here the names stand for
functions of this module, which make arrays of NumPy, and of `plain_values`; any other
name is refused.
"""

import functools
import io
import pickle
import pickletools
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import tensorflow as tf

from tf_frcnn.checkpoints.plain_values import (
    CLASSES,
    FUNCTIONS,
    NUMBER_TYPES,
    is_size,
)

# The types of numbers, by the name of the class that stores them in PyTorch.
_STORAGES = {
    "BFloat16Storage": np.dtype(tf.bfloat16.as_numpy_dtype),
    "BoolStorage": np.dtype(np.bool_),
    "ByteStorage": np.dtype(np.uint8),
    "CharStorage": np.dtype(np.int8),
    "DoubleStorage": np.dtype(np.float64),
    "FloatStorage": np.dtype(np.float32),
    "HalfStorage": np.dtype(np.float16),
    "IntStorage": np.dtype(np.int32),
    "LongStorage": np.dtype(np.int64),
    "ShortStorage": np.dtype(np.int16),
}
# How many times the length of a pickle its copies may have; each has a few.
_ROOM = 16
_COPIED = (bytes, bytearray, dict, frozenset, list, set, str, tuple)


class Storage(NamedTuple):
    """The numbers that tensors are views of, [n]."""

    numbers: np.ndarray


# Returns the storage of a key, of a type and a number of elements.
StorageReader = Callable[[str, np.dtype, int], Storage]


def unpickle(file: BinaryIO, read_storage: StorageReader | None = None) -> Any:
    """Reads the pickle that begins at the file's position, and ends behind it.

    Args:
        file: the file.
        read_storage: finds what tensors are views of; None where there are none.

    Returns:
        What was pickled, tensors and parameters as arrays; the rest as of
        `plain_values`. A tensor may repeat the numbers of its storage, in no memory.

    Raises:
        pickle.UnpicklingError: the pickle asks for more than that, or is damaged.
    """
    start = file.tell()
    try:
        _check(file)
        length = file.tell() - start
        file.seek(start)
        return _Unpickler(io.BytesIO(file.read(length)), read_storage, length).load()
    except pickle.UnpicklingError:
        raise
    except Exception as error:  # A damaged pickle may raise almost any.
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise pickle.UnpicklingError(reason) from error


def _check(file: BinaryIO) -> None:
    """Steps over a pickle; raises a ValueError where it would fill the memory."""
    for code, argument, position in pickletools.genops(file):
        if code.name.endswith("PUT") and int(argument or 0) > (position or 0):
            raise ValueError(f"it numbers an object {argument}")


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: BinaryIO, read_storage: StorageReader | None, length: int):
        super().__init__(file, encoding="utf-8")  # of texts written by Python 2
        self._read_storage = read_storage
        self._room = _ROOM * length

    def find_class(self, module: str, name: str) -> Any:
        if module in ("torch", "torch.cuda") and name in _STORAGES:
            return name
        if module == "torch" and name in NUMBER_TYPES:
            return f"torch.{name}"
        if (module, name) in CLASSES:
            return self._class_like(CLASSES[module, name])
        allowed = _TENSORS | FUNCTIONS
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return functools.partial(self._call, allowed[module, name])

    def _call(self, function: Callable, *arguments: Any) -> Any:
        self._make_room(arguments)
        return function(*arguments)

    def _class_like(self, kind: type) -> type:
        """Returns a new class, since a pickle may set attributes of what it has."""

        make_room = self._make_room

        class Own(kind):
            __slots__ = ()

            def __init__(self, *arguments):
                make_room(arguments)
                super().__init__(*arguments)

        return Own

    def _make_room(self, arguments: tuple) -> None:
        """Raises a ValueError if what is copied is too much for the file.

        A pickle can name one long text again and again.
        """
        self._room -= sum(len(a) for a in arguments if isinstance(a, _COPIED))
        if self._room < 0:
            raise ValueError("it makes copies that are larger than the file")

    def persistent_load(self, pid: Any) -> Storage:
        kind, storage, key, _, count, *views = pid
        if kind != "storage" or any(view is not None for view in views):
            raise ValueError(f"it asks for a {kind} that is not a storage of its own")
        if self._read_storage is None or not isinstance(key, str) or not is_size(count):
            raise ValueError(f"it asks for the storage {key!r} of {count!r} numbers")
        return self._read_storage(key, _STORAGES[storage], count)


def _tensor(storage, offset, size, stride, grad=False, hooks=(), metadata=None):
    """Returns a view of a storage, [*size]; arguments as of `_rebuild_tensor_v2`."""
    if not isinstance(storage, Storage) or metadata:
        raise ValueError(f"a tensor has {metadata or 'no storage'}")
    if len(size) != len(stride) or not all(map(is_size, (offset, *size, *stride))):
        raise ValueError(f"a tensor has offset {offset}, size {size}, stride {stride}")
    numbers = storage.numbers
    if 0 in size:
        return np.empty(size, numbers.dtype)
    steps = [s if n > 1 else 0 for n, s in zip(size, stride, strict=True)]
    last = offset + sum((n - 1) * s for n, s in zip(size, steps, strict=True))
    if last >= len(numbers):
        raise ValueError(f"a tensor {list(size)} is beyond its {len(numbers)} numbers")
    strides = [step * numbers.itemsize for step in steps]
    view = numbers[offset:]
    return np.lib.stride_tricks.as_strided(view, size, strides, writeable=False)


def _parameter(tensor, *_):
    return tensor


_TENSORS: dict[tuple[str, str], Callable] = {
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
}
