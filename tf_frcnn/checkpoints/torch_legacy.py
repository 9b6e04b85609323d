"""Files that PyTorch wrote from 0.1.10 to 1.5: pickles, and behind them the storages.

The pickles are a number by which such files are known, the version of the form, the
machine, what was saved, and the keys of the storages. Of each storage, in the order of
the keys, follow the count of its numbers in 8 bytes, and the numbers.
"""

import pickle
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np

from tf_frcnn.checkpoints.torch_pickle import Storage, unpickle

_MAGIC = 0x1950A86A20F9469CFC6C


def read_torch_legacy(path: Path) -> Any:
    """Reads such a file.

    Returns:
        What was saved, arrays instead of tensors; see `unpickle`.

    Raises:
        pickle.UnpicklingError: it asks for more than tensors, or is damaged.
        ValueError: it is not such a file, or cut off.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        if not _has_magic(file):
            raise ValueError("neither a ZIP archive nor of the form before it")
        unpickle(file)  # the version of the form
        unpickle(file)  # the machine
        storages = _Storages(path.stat().st_size)
        content = unpickle(file, storages.make)
        storages.fill(file, unpickle(file))
    return content


def _has_magic(file: BufferedReader) -> bool:
    try:
        return unpickle(file) == _MAGIC
    except pickle.UnpicklingError:
        return False


class _Storages:
    """The storages of a file: made as the pickle asks for them, then read.

    Args:
        room: their size in bytes at most.
    """

    def __init__(self, room: int):
        self._room, self._by_key = room, dict[str, Storage]()

    def make(self, key: str, dtype: np.dtype, count: int) -> Storage:
        """Returns the storage of a key."""
        if key not in self._by_key:
            self._room -= count * dtype.itemsize
            if self._room < 0:
                raise ValueError(
                    f"the storage {key} has {count} numbers, beyond the file"
                )
            self._by_key[key] = Storage(np.empty(count, dtype))
        storage = self._by_key[key]
        if (storage.numbers.dtype, len(storage.numbers)) != (dtype, count):
            raise ValueError(f"the storage {key} has two sizes")
        return storage

    def fill(self, file: BufferedReader, keys: Any) -> None:
        """Reads the numbers of all storages, in the order of the keys."""
        if not isinstance(keys, list) or sorted(map(str, keys)) != sorted(self._by_key):
            raise ValueError("it does not hold the storages that its tensors need")
        for key in keys:
            numbers = self._by_key[key].numbers
            count = int.from_bytes(file.read(8), "little")
            if count != len(numbers):
                raise ValueError(
                    f"the storage {key} has {count} numbers, not {len(numbers)}"
                )
            if file.readinto(numbers.view(np.uint8).data) != numbers.nbytes:
                raise ValueError(f"the file ends within the storage {key}")
