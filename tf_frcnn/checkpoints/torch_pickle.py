"""Pickles of PyTorch, read without PyTorch and without running code.

A pickle names functions and says with what they are called. Here the names stand for
functions of this module, which make arrays of NumPy and plain containers; any other
name is refused.
"""

import functools
import io
import math
import pickle
import pickletools
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import tensorflow as tf

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
_NUMPY_NUMBERS = frozenset("b1 f2 f4 f8 i1 i2 i4 i8 u1 u2 u4 u8".split())
# Strides may repeat the numbers of a storage; beyond so many a tensor is a trap. The
# largest layer of a detector, VGG16's fc6, has 1e8.
_MOST_REPEATED = 2**28


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
        What was pickled, tensors and parameters as arrays, dictionaries without
        attributes.

    Raises:
        pickle.UnpicklingError: the pickle asks for more than that, or is damaged.
    """
    start = file.tell()
    try:
        _check(file)
        length = file.tell() - start
        file.seek(start)
        return _Unpickler(io.BytesIO(file.read(length)), read_storage).load()
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
    def __init__(self, file: BinaryIO, read_storage: StorageReader | None):
        super().__init__(file, encoding="utf-8")  # of texts written by Python 2
        self._read_storage = read_storage

    def find_class(self, module: str, name: str) -> Any:
        if module in ("torch", "torch.cuda") and name in _STORAGES:
            return name
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        # A new object, since a pickle may set attributes of what it was given.
        return functools.partial(_ALLOWED[module, name])

    def persistent_load(self, pid: Any) -> Storage:
        kind, storage, key, _, count, *views = pid
        if kind != "storage" or any(view is not None for view in views):
            raise ValueError(f"it asks for a {kind} that is not a storage of its own")
        if (
            self._read_storage is None
            or not isinstance(key, str)
            or not _is_size(count)
        ):
            raise ValueError(f"it asks for the storage {key!r} of {count!r} numbers")
        return self._read_storage(key, _STORAGES[storage], count)


def _is_size(number: Any) -> bool:
    return type(number) is int and number >= 0


def _tensor(storage, offset, size, stride, grad=False, hooks=(), metadata=None):
    """Returns a view of a storage, [*size]; arguments as of `_rebuild_tensor_v2`."""
    if not isinstance(storage, Storage) or metadata:
        raise ValueError(f"a tensor has {metadata or 'no storage'}")
    if len(size) != len(stride) or not all(map(_is_size, (offset, *size, *stride))):
        raise ValueError(f"a tensor has offset {offset}, size {size}, stride {stride}")
    numbers = storage.numbers
    if 0 in size:
        return np.empty(size, numbers.dtype)
    steps = [s if n > 1 else 0 for n, s in zip(size, stride, strict=True)]
    last = offset + sum((n - 1) * s for n, s in zip(size, steps, strict=True))
    if last >= len(numbers) or math.prod(size) > max(len(numbers), _MOST_REPEATED):
        raise ValueError(f"a tensor {list(size)} is beyond its {len(numbers)} numbers")
    strides = [step * numbers.itemsize for step in steps]
    view = numbers[offset:]
    return np.lib.stride_tricks.as_strided(view, size, strides, writeable=False)


def _parameter(tensor, *_):
    return tensor


class _Dict(dict):
    """A dictionary; attributes, such as the versions of a state dict, are left out."""

    __slots__ = ()

    def __setstate__(self, _):
        pass


class _NumberType:
    """A type of NumPy, made by its short name and then told its byte order."""

    def __init__(self, name, *_):
        if name not in _NUMPY_NUMBERS:
            raise ValueError(f"it holds a number of NumPy's {name}")
        self.dtype = np.dtype(name)

    def __setstate__(self, state):
        self.dtype = self.dtype.newbyteorder(state[1])


def _number(number_type, content):
    """Returns a number of NumPy, such as a mean average precision."""
    return np.frombuffer(content, number_type.dtype, count=1)[0]


def _bytes(text, _):
    """Returns the bytes that old pickles write as a text."""
    return text.encode("latin-1")


_BUILTINS: tuple[type, ...] = (complex, frozenset, set)
_ALLOWED: dict[tuple[str, str], Callable] = {
    ("_codecs", "encode"): _bytes,
    ("collections", "Counter"): _Dict,
    ("collections", "OrderedDict"): _Dict,
    ("numpy", "dtype"): _NumberType,
    ("numpy._core.multiarray", "scalar"): _number,
    ("numpy.core.multiarray", "scalar"): _number,
    ("torch", "Size"): tuple,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    **{("builtins", kind.__name__): kind for kind in _BUILTINS},
    **{("__builtin__", kind.__name__): kind for kind in _BUILTINS},
}
