"""Where decoded images are kept: in memory, or in a folder of the package's cache."""

import hashlib
import os
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from tf_frcnn.data.checks.facts_cache import CACHE_VARIABLE, cache_folder
from tf_frcnn.data.checks.free_memory import free_memory
from tf_frcnn.data.checks.problems import DataError

# In the cache: a folder for each data set and way of resizing.
PIXELS_FOLDER = "pixels"
_ENDING = ".raw"
_REMEDY = (
    f"make room, name another folder in {CACHE_VARIABLE}, or set data.cache to none"
)


class Store(Protocol):
    """Holds the bytes of images; may be asked from several threads."""

    def load(self, row: int, mark: int) -> np.ndarray | None:
        """Returns the uint8 [bytes] of an image, None if they are not kept.

        Args:
            row: of its record.
            mark: hash of its file's bytes.
        """

    def save(self, row: int, mark: int, content: np.ndarray) -> None:
        """Keeps the uint8 [bytes] of an image.

        Raises:
            OSError: there is no room.
        """


class MemoryStore:
    """Holds images by their row, as long as the store is held.

    Args:
        name: of the data set, for the message.
        num_bytes: of all its images.

    Raises:
        DataError: there is less memory than they need.
    """

    def __init__(self, name: str, num_bytes: int):
        free = free_memory()
        if free is not None and num_bytes > free:
            raise DataError(
                f"data.cache = memory: the images of {name} take {_size(num_bytes)}, "
                f"but {_size(free)} of memory are free; set data.cache to disk or none."
            )
        self._kept: dict[int, np.ndarray] = {}

    def load(self, row: int, mark: int) -> np.ndarray | None:
        """Returns the bytes of an image, None if they are not kept."""
        return self._kept.get(row)

    def save(self, row: int, mark: int, content: np.ndarray) -> None:
        """Keeps a copy of the bytes of an image."""
        self._kept[row] = content.copy()


class DiskStore:
    """Holds images in files named by a hash of the original file's bytes.

    Whoever changes an original gets it decoded anew, and what was kept of it is
    removed. Files are written beside their place and then moved, so that a program that
    was killed leaves no half ones.

    Args:
        name: of the data set, and of the folder with it.
        sources: names of its n images, all different.
        num_bytes: of all its images.
        form: how they are kept; those of another form have another folder.

    Raises:
        DataError: there is no cache, or no room for them.
    """

    def __init__(self, name: str, sources: Sequence[str], num_bytes: int, form: str):
        cache = cache_folder()
        if cache is None:
            raise DataError(
                f"data.cache = disk needs the cache, which {CACHE_VARIABLE} switches "
                "off; name a folder there, or set data.cache to memory or none."
            )
        self._folder = cache / PIXELS_FOLDER / _hash(f"{name}\0{form}")
        self._names = [_hash(source) for source in sources]
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(self._folder).free
            files = {f.name: f.stat().st_size for f in os.scandir(self._folder)}
        except OSError as error:
            raise DataError(f"data.cache = disk: {self._folder}: {error}.") from error
        missing = num_bytes - sum(files.values())
        if missing > free:
            raise DataError(
                f"data.cache = disk: {self._folder} needs {_size(missing)} more for "
                f"the images of {name}, but {_size(free)} are free; {_REMEDY}."
            )
        self._kept = {file.partition("_")[0]: file for file in files}

    def load(self, row: int, mark: int) -> np.ndarray | None:
        """Returns the bytes of an image, None if they are not kept."""
        try:
            return np.fromfile(self._path(row, mark), np.uint8)
        except OSError:
            return None

    def save(self, row: int, mark: int, content: np.ndarray) -> None:
        """Writes the bytes of an image; removes those of its file as it was before."""
        path, before = self._path(row, mark), self._kept.get(self._names[row])
        part = path.with_suffix(f".{os.getpid()}.{threading.get_ident()}.part")
        try:
            with part.open("wb") as file:
                file.write(content.data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        except OSError as error:
            raise OSError(
                f"data.cache = disk: {path}: {error.strerror or error}; {_REMEDY}"
            ) from error
        finally:
            part.unlink(missing_ok=True)
        if before not in (None, path.name):
            (self._folder / before).unlink(missing_ok=True)
        self._kept[self._names[row]] = path.name

    def _path(self, row: int, mark: int) -> Path:
        return self._folder / f"{self._names[row]}_{mark:016x}{_ENDING}"


def _hash(text: str) -> str:
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:24]


def _size(num_bytes: int) -> str:
    return (
        f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 1e8 else f"{num_bytes / 1e6:.1f} MB"
    )
