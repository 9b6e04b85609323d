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

    Whatever ends the process releases it. If an error ends the context, a folder that
    was created for it and holds nothing is removed again.

    Args:
        directory: the folder, which is created if it does not exist.
        name: of the file that says so; processes with other names share the folder.

    Raises:
        BlockingIOError: another process has claimed it.
    """
    is_new = not directory.exists()
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
    except BaseException:
        if is_new:
            _remove_if_unused(path)
        raise
    finally:
        lock.release()


def _remove_if_unused(lock_file: Path) -> None:
    """Removes the folder of a lock that is held, if it holds nothing else."""
    folder = lock_file.parent
    with contextlib.suppress(OSError):
        if [*folder.iterdir()] == [lock_file]:
            lock_file.unlink()
            folder.rmdir()
