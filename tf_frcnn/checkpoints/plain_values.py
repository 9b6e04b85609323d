"""The values beside weights in a pickle: those that are harmless, as plain ones.

Settings, dates, paths, numbers and arrays of NumPy, as training programs save them. A
name in a pickle stands for a function or class of this module; none runs code of the
file, and none takes more memory than its arguments.
"""

import datetime
import pathlib
import re
from collections.abc import Callable
from typing import Any

import numpy as np

# PyTorch's types of numbers, which come as texts.
NUMBER_TYPES = frozenset(
    "bfloat16 bool complex64 complex128 float16 float32 float64 int8 int16 int32 int64 "
    "uint8 uint16 uint32 uint64".split()
)
# NumPy's, by their short names; texts and bytes have their length behind them.
_NUMPY_TYPES = re.compile(r"b1|c8|c16|f2|f4|f8|i1|i2|i4|i8|u1|u2|u4|u8|[US]\d{1,9}")


def is_size(number: Any) -> bool:
    """Returns whether a value is a whole number from 0."""
    return type(number) is int and number >= 0


class Dictionary(dict):
    """A dictionary; attributes, such as the versions of a state dict, are left out."""

    __slots__ = ()

    def __setstate__(self, _):
        pass


class Attributes(dict):
    """An object that is nothing but its attributes, as a dictionary of them."""

    __slots__ = ()

    def __setstate__(self, state):
        if not isinstance(state, dict):
            raise ValueError(f"an object has the attributes {type(state).__name__}")
        self.update(state)


class _NumberType:
    """A type of NumPy, made by its short name and then told its byte order."""

    def __init__(self, name, *_):
        if not isinstance(name, str) or not _NUMPY_TYPES.fullmatch(name):
            raise ValueError(f"it holds a number of NumPy's {name}")
        self.dtype = np.dtype(name)

    def __setstate__(self, state):
        self.dtype = self.dtype.newbyteorder(state[1])


class _Array(np.ndarray):
    """An array of NumPy, made empty and then told its content."""

    def __setstate__(self, state):
        _, shape, number_type, is_fortran, content = state
        own = _array(content, number_type, shape, "C")
        told: Any = (1, own.shape, own.dtype, bool(is_fortran), content)
        super().__setstate__(told)


def _array(content, number_type, shape, order):
    """Returns an array of NumPy of the bytes of its numbers."""
    if not all(map(is_size, shape)):
        raise ValueError(f"an array has the shape {shape}")
    return np.frombuffer(content, number_type.dtype).reshape(shape, order=order)


def _empty_array(*_):
    return np.ndarray.__new__(_Array, (0,), np.uint8)


def _array_type(*_):
    raise ValueError("it makes an array without content")


def _number(number_type, content):
    """Returns a number or text of NumPy, such as a mean average precision."""
    return np.frombuffer(content, number_type.dtype, count=1)[0]


def _bytes(text, _):
    """Returns the bytes that old pickles write as a text."""
    return text.encode("latin-1")


def _empty_bytes():
    """Returns what a pickle cannot write but by the name of its type.

    With a number that type would take as many bytes.
    """
    return b""


def _defaultdict(_=None, items=()):
    return Dictionary(items)


def _path(*parts):
    return str(pathlib.PurePosixPath(*parts))


def _windows_path(*parts):
    return str(pathlib.PureWindowsPath(*parts))


def _device(kind, index=None):
    return kind if index is None else f"{kind}:{index}"


# Classes that a pickle may make objects of and then tell their state.
CLASSES: dict[tuple[str, str], type] = {
    ("argparse", "Namespace"): Attributes,
    ("types", "SimpleNamespace"): Attributes,
    ("collections", "Counter"): Dictionary,
    ("collections", "OrderedDict"): Dictionary,
    # Hyperparameters of Lightning.
    ("lightning.fabric.utilities.data", "AttributeDict"): Dictionary,
    ("lightning.pytorch.utilities.parsing", "AttributeDict"): Dictionary,
    ("lightning_fabric.utilities.data", "AttributeDict"): Dictionary,
    ("pytorch_lightning.utilities.parsing", "AttributeDict"): Dictionary,
}
_BUILTINS: tuple[type, ...] = (complex, frozenset, set, list, dict, tuple, int, float)
_DATES: tuple[type, ...] = (datetime.date, datetime.datetime, datetime.time)
_DATES += (datetime.timedelta, datetime.timezone)
FUNCTIONS: dict[tuple[str, str], Callable] = {
    ("_codecs", "encode"): _bytes,
    ("__builtin__", "bytes"): _empty_bytes,
    ("builtins", "bytes"): _empty_bytes,
    ("collections", "defaultdict"): _defaultdict,
    ("numpy", "dtype"): _NumberType,
    ("numpy", "ndarray"): _array_type,
    ("torch", "Size"): tuple,
    ("torch", "device"): _device,
    **{
        (f"numpy.{core}.{module}", name): function
        for core in ("core", "_core")
        for module, name, function in (
            ("multiarray", "scalar", _number),
            ("multiarray", "_reconstruct", _empty_array),
            ("numeric", "_frombuffer", _array),
        )
    },
    **{
        (module, f"{pure}{system}Path"): function
        for module in ("pathlib", "pathlib._local")
        for pure in ("", "Pure")
        for system, function in (("Posix", _path), ("Windows", _windows_path))
    },
    **{("datetime", kind.__name__): kind for kind in _DATES},
    **{("builtins", kind.__name__): kind for kind in _BUILTINS},
    **{("__builtin__", kind.__name__): kind for kind in _BUILTINS},
}
