"""One program at a time for a run folder."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import filelock

from tf_frcnn.runs.writing import named_errors

LOCK_FILE = "run.lock"


@contextlib.contextmanager
def claimed(directory: Path, name: str = LOCK_FILE) -> Iterator[None]:
    """Claims a folder for this process, which may do so several times.

    Whatever ends the process releases it.

    Args:
        directory: the folder, which is created.
        name: of the file that says so; processes with other names share the folder.

    Raises:
        BlockingIOError: another process has claimed it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / name
    lock = filelock.FileLock(path, timeout=0, is_singleton=True)
    try:
        lock.acquire()
    except filelock.Timeout:
        owner = path.read_text().strip() or "another one"
        raise BlockingIOError(
            f"{directory} is in use by process {owner}; wait until it ends, or choose "
            "another folder with --output."
        ) from None
    try:
        with named_errors(path):
            path.write_text(f"{os.getpid()}\n")
        yield
    finally:
        lock.release()
