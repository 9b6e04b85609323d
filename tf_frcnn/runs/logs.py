"""The tables that a run keeps of its epochs.

`log.csv` has what follows from the settings and the data, and is the same bit by bit
where a run was interrupted; `times.csv` has what depends on the machine.
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tf_frcnn.runs.safe_files import write_text

LOG_FILE, TIMES_FILE = "log.csv", "times.csv"


class LogTable:
    """A CSV file with a row per epoch, which is there whole or not at all.

    Args:
        path: the file.
        epochs: rows of later epochs, which an interrupted run wrote, are dropped.
    """

    def __init__(self, path: Path, epochs: int):
        self._path = path
        rows = read_rows(path) if path.is_file() else []
        self._rows: list[dict[str, Any]] = [
            row for row in rows if int(row["epoch"]) <= epochs
        ]

    def add(self, row: dict[str, Any]) -> None:
        """Adds a row; a new column is empty in the rows before."""
        self._rows.append(row)
        write_rows(self._path, self._rows)


def join_logs(paths: Iterable[Path], target: Path) -> None:
    """Writes the tables of trainings that followed each other as one.

    Args:
        paths: tables whose columns "epoch" and "step" begin anew.
        target: the table in which they go on.
    """
    rows: list[dict[str, Any]] = []
    for path in paths:
        before = rows[-1] if rows else {"epoch": 0, "step": 0}
        for row in read_rows(path):
            counts = {n: before[n] + int(row[n]) for n in ("epoch", "step")}
            rows.append(row | counts)
    write_rows(target, rows)


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Writes a table; what a row does not have is empty."""
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, list(dict.fromkeys(n for row in rows for n in row)))
    table.writeheader()
    table.writerows(rows)
    write_text(path, text.getvalue())


def read_rows(path: Path) -> list[dict[str, str]]:
    """Returns the rows of a table as texts by the names of the columns."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
