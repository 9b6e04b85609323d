"""The curves of a training, read from a table with a row per epoch."""

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np

EPOCH, STEP = "epoch", "step"


class Curves(NamedTuple):
    """What a training logged.

    Attributes:
        name: of the run.
        epochs: int [n], rising.
        steps: float [n], training steps until the end of each epoch; NaN where the
            table does not tell.
        columns: name -> float [n], NaN where there is no value.
    """

    name: str
    epochs: np.ndarray
    steps: np.ndarray
    columns: dict[str, np.ndarray]

    def of(self, name: str) -> np.ndarray:
        """Returns a column; NaN throughout if there is none of that name."""
        return self.columns.get(name, np.full(len(self.epochs), np.nan))


def read_curves(path: Path, name: str) -> Curves:
    """Reads a table such as a run's log.csv, or that of Keras's `CSVLogger`.

    Args:
        path: a CSV file with a column "epoch" and others of numbers or nothing.
        name: of the run.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no such table.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist: it is no table of a training.")
    try:
        with path.open(newline="", encoding="utf-8") as file:
            table = csv.DictReader(file)
            rows, names = list(table), list(table.fieldnames or [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is no CSV file in UTF-8: {error}.") from error
    if EPOCH not in names:
        raise ValueError(
            f"{path} has no column {EPOCH!r}; it has {', '.join(names) or 'none'}."
        )
    numbers = {n: _numbers(path, n, [row[n] for row in rows]) for n in names}
    epochs = numbers.pop(EPOCH)
    if not len(epochs) or not np.all(np.diff(epochs) > 0):  # NaN is neither.
        raise ValueError(f"{path}: the column {EPOCH!r} must have rows, and rise.")
    steps = numbers.pop(STEP, np.full(len(epochs), np.nan))
    return Curves(name, epochs.astype(int), steps, numbers)


def _numbers(path: Path, name: str, texts: list[str | None]) -> np.ndarray:
    values = []
    for number, text in enumerate(texts):
        try:
            values.append(float(text) if text else np.nan)
        except ValueError:
            raise ValueError(
                f"{path}, line {number + 2}: {name} = {text!r} is not a number."
            ) from None
    return np.array(values)
