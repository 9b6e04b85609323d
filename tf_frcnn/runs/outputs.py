"""Folders that a user names for results, looked at before anything is computed."""

import contextlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from tf_frcnn.runs.safe_files import part_of


def require_writable(folder: Path) -> None:
    """Raises an OSError unless files can be written into a folder; leaves nothing.

    Args:
        folder: need not exist.
    """
    lacking = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        reason = "it is a file" if folder.is_file() else os.strerror(error.errno or 0)
        raise type(error)(
            f"{folder}: no files can be written there ({reason}); choose another "
            "folder."
        ) from error
    finally:
        for path in lacking:
            with contextlib.suppress(OSError):
                path.rmdir()


def require_free(paths: Iterable[Path], *, overwrite: bool) -> None:
    """Raises a FileExistsError if files exist that nobody said to replace.

    Args:
        paths: the files that are to be written, by `safe_files.replaced`.
        overwrite: whether the user said to replace them; folders are never replaced.
    """
    both = (place for path in paths for place in (path, part_of(path)))
    taken = [path for path in both if os.path.lexists(path)]
    if folders := [path for path in taken if path.is_dir()]:
        raise IsADirectoryError(f"{folders[0]} is a folder; choose another --output.")
    if taken and not overwrite:
        others = f" and {len(taken) - 1} more of the results" if taken[1:] else ""
        verb = "exist" if others else "exists"
        raise FileExistsError(
            f"{taken[0]}{others} {verb} already; choose another --output, "
            "or say --overwrite to replace them."
        )
