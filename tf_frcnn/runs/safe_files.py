"""Files that are there whole or not at all, whatever ends the program."""

import contextlib
import gc
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import h5py

_PART = "part."


@contextlib.contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Yields a new file beside `path`, which takes its place at the end.

    It is written to the disk before it is renamed, so that a loss of power leaves
    either the old file or the new one. After an error, such as a full disk, the old one
    stays and the new one goes.

    Args:
        path: its folder is created.

    Yields:
        A path with the same ending, for a function that opens it.

    Raises:
        OSError: of the writing; the message names `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = part_of(path)
    try:
        yield part
        _sync(part)
        os.replace(part, path)
        _sync(path.parent)
    except BaseException as error:
        _discard(part)
        if isinstance(error, OSError):
            raise _told(error, path) from error
        raise


def part_of(path: Path) -> Path:
    """Returns the file that `replaced` writes before it takes the place of another."""
    return path.with_name(_PART + path.name)


def write_text(path: Path, text: str) -> None:
    """Writes a text file in UTF-8; see `replaced`."""
    with replaced(path) as part:
        part.write_text(text, encoding="utf-8", newline="")


def remove_parts(folder: Path) -> None:
    """Removes what a program that was killed had begun to write in a folder."""
    for part in folder.glob(f"{_PART}*"):
        part.unlink()


def checksum(path: Path) -> str:
    """Returns the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(path: Path) -> None:
    """Waits until a file, or the names in a folder, are on the disk."""
    if path.is_dir() and os.name == "nt":  # Where folders cannot be opened.
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _discard(part: Path) -> None:
    """Removes a file that may still be open.

    HDF5 keeps a file open that it could not write, tries again when the program ends,
    and crashes; with the file cut to nothing there is room for what it wants to write.
    """
    if not part.exists():
        return
    os.truncate(part, 0)
    gc.collect()
    for file in h5py.h5f.get_obj_ids(h5py.h5f.OBJ_ALL, h5py.h5f.OBJ_FILE):
        if Path(os.fsdecode(file.name)) == part:
            with contextlib.suppress(RuntimeError, OSError, ValueError):
                file.close()
    part.unlink()


def _told(error: OSError, path: Path) -> OSError:
    """Returns the error in one line, with the number and the class it had."""
    reason = os.strerror(error.errno) if error.errno else str(error).splitlines()[0]
    message = (
        f"{path} could not be written: {reason}. What was there before is as it was."
    )
    return type(error)(error.errno, message) if error.errno else OSError(message)
