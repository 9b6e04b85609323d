"""A list in JSON that is whole after each of its entries."""

import json
import os
from pathlib import Path
from typing import Any

from tf_frcnn.runs.safe_files import replaced

_START, _BETWEEN, _END = b"[\n", b",\n", b"\n]\n"


class ResultList:
    """A JSON file that grows by an entry at a time, in memory that does not.

    Whenever the program ends, even if it is killed, the file is a list of all entries
    that were added. The first one replaces a file that was there.

    Args:
        path: of the file; its folder is created with the first entry.
    """

    def __init__(self, path: Path):
        self._path, self._end = path, 0
        self._spans: dict[int, tuple[int, int]] = {}

    def add(self, place: int, entry: dict[str, Any]) -> None:
        """Adds an entry behind the others.

        Args:
            place: of the entry in the order that `sort` makes; each has its own.
            entry: what JSON can hold.

        Raises:
            OSError: it could not be written; the list is as it was.
        """
        content = json.dumps(entry, indent=1).encode()
        before = _BETWEEN if self._spans else _START
        if self._spans:
            self._append(before + content + _END)
        else:
            with replaced(self._path) as part:
                part.write_bytes(before + content + _END)
        start = self._end + len(before)
        self._end = start + len(content)
        self._spans[place] = start, self._end

    def sort(self) -> None:
        """Brings the entries into the order of their places."""
        places = sorted(self._spans)
        if places == [*self._spans]:
            return
        with self._path.open("rb") as file, replaced(self._path) as part:
            with part.open("wb") as ordered:
                for place in places:
                    start, end = self._spans[place]
                    file.seek(start)
                    ordered.write(_START if place == places[0] else _BETWEEN)
                    ordered.write(file.read(end - start))
                ordered.write(_END)

    def _append(self, content: bytes) -> None:
        """Writes over the end of the list, in one call of the system."""
        with self._path.open("r+b", buffering=0) as file:
            file.seek(self._end)
            try:
                if file.write(content) != len(content):
                    raise OSError("no space is left")
            except OSError as error:
                os.truncate(self._path, self._end)
                file.seek(self._end)
                file.write(_END)
                reason = error.strerror or str(error)
                raise OSError(f"{self._path} could not be written: {reason}.") from None
