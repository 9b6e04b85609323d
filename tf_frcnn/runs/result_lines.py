"""A file in JSON lines that stays whole, but for its last line, whatever happens."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

_BLOCK = 2**16


class ResultLines:
    """A file that grows by a line at a time, as `with ResultLines(path) as lines`.

    A line is handed to the system at once: a process that is killed loses none, and
    leaves at most a beginning of the next one, which `repair` removes.

    Args:
        path: of the file; it and its folder are created with the first entry.
        append: whether to go on with a file that is there, instead of replacing it.
    """

    def __init__(self, path: Path, *, append: bool = False):
        self.path = path
        self._mode = "ab" if append else "wb"
        self._file: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, entry: dict[str, Any]) -> None:
        """Adds a line.

        Raises:
            OSError: it could not be written; the file is as it was.
        """
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open(self._mode, buffering=0)
        end, content = self._file.tell(), json.dumps(entry).encode() + b"\n"
        try:
            if self._file.write(content) != len(content):
                raise OSError("no space is left")
        except OSError as error:
            self._file.truncate(end)
            self._file.seek(end)
            reason = error.strerror or str(error)
            raise OSError(f"{self.path} could not be written: {reason}.") from None


def repair(path: Path) -> None:
    """Removes the beginning of a last line that a killed process left."""
    with path.open("r+b") as file:
        place = file.seek(0, os.SEEK_END)
        while place > 0:
            start = max(0, place - _BLOCK)
            file.seek(start)
            if (found := file.read(place - start).rfind(b"\n")) >= 0:
                file.truncate(start + found + 1)
                return
            place = start
        file.truncate(0)


def read_entries(path: Path) -> Iterator[dict[str, Any]]:
    """Yields the entries of a file, one at a time.

    Raises:
        ValueError: a line is not an entry, which has at least a `file`.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                entry = json.loads(line)
                has_file = isinstance(entry["file"], str)
            except (ValueError, TypeError, KeyError):
                has_file = False
            if not has_file:
                raise ValueError(
                    f"{path}: line {number} is not an entry of tf-frcnn predict; "
                    "remove that line, and its image is detected anew."
                )
            yield entry
