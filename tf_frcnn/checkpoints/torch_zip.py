"""Files that PyTorch writes since 1.6: a ZIP archive of a pickle and its storages.

The archive holds NAME/data.pkl, the numbers of each storage as NAME/data/KEY, and
perhaps their byte order as NAME/byteorder. Nothing is compressed.
"""

import functools
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from tf_frcnn.checkpoints.torch_pickle import Storage, unpickle

_PICKLE = "/data.pkl"
_ORDERS = {b"little": "<", b"big": ">"}


def read_torch_zip(path: Path) -> Any:
    """Reads such a file.

    Returns:
        What was saved, arrays instead of tensors; see `unpickle`.

    Raises:
        pickle.UnpicklingError: it asks for more than tensors, or is damaged.
        ValueError: it is not such a file.
        OSError: it cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _read(archive, path.stat().st_size)
    except (zipfile.BadZipFile, KeyError, EOFError, RuntimeError) as error:
        raise ValueError(str(error)) from error


def _read(archive: zipfile.ZipFile, size: int) -> Any:
    folder, room = _folder(archive), size

    @functools.cache
    def content(name: str) -> bytes:
        nonlocal room
        found = _content(archive, f"{folder}/{name}", room)
        room -= len(found)
        return found

    has_order = f"{folder}/byteorder" in archive.namelist()
    order = _ORDERS[content("byteorder") if has_order else b"little"]

    def storage(key: str, dtype: np.dtype, count: int) -> Storage:
        unsigned = f"u{dtype.itemsize}"
        numbers = np.frombuffer(content(f"data/{key}"), order + unsigned, count)
        return Storage(numbers.astype(unsigned, copy=False).view(dtype))

    return unpickle(io.BytesIO(content("data.pkl")), storage)


def _folder(archive: zipfile.ZipFile) -> str:
    """Returns NAME."""
    for name in archive.namelist():
        if name.endswith(_PICKLE) and name.count("/") == 1:
            return name.removesuffix(_PICKLE)
    raise ValueError("the ZIP archive has no data.pkl")


def _content(archive: zipfile.ZipFile, name: str, room: int) -> bytes:
    """Returns the bytes of a file in an archive that has `room` left for it."""
    record = archive.getinfo(name)
    if record.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{name} is compressed")
    if record.file_size > room:
        raise ValueError(f"{name} is to have {record.file_size} of {room} bytes")
    return archive.read(record)
