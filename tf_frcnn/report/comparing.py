"""Where two trainings part."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from tf_frcnn.report.curves import Curves

# Columns whose differences are taken as they are; those of others are relative.
_SHARES = ("val_mAP", "val_recall", "val_AP/", "proposal_recall", "skipped")
# What comes first where several part at once: a cause before what follows from it.
_ORDER = ("learning_rate", "loss", "rpn_", "roi_", "decay_", "gradient_norm")


class Row(NamedTuple):
    """A column that both trainings have.

    Attributes:
        column: its name.
        num_epochs: those with a value in both.
        epoch: the first in which they are further apart than the tolerance, or None.
        step: training steps until then; NaN if the table does not tell.
        values: of both in that epoch, or in the last with a value in both.
        largest: the largest difference.
        largest_epoch: where it is.
        last: the last values of both.
    """

    column: str
    num_epochs: int
    epoch: int | None
    step: float
    values: tuple[float, float]
    largest: float
    largest_epoch: int
    last: tuple[float, float]


class Comparison(NamedTuple):
    """Two trainings side by side.

    Attributes:
        one, other: their curves.
        tolerance: the difference from which on they part.
        rows: the columns that both have.
        first: the row that parts first; None if none does.
        only: the columns that only one has, by the names of the trainings.
        settings: those that differ, with both values; None where they are not known.
    """

    one: Curves
    other: Curves
    tolerance: float
    rows: list[Row]
    first: Row | None
    only: dict[str, list[str]]
    settings: dict[str, tuple[Any, Any]] | None


def compare(
    one: Curves,
    other: Curves,
    tolerance: float,
    settings: tuple[Mapping[str, Any], Mapping[str, Any]] | None = None,
) -> Comparison:
    """Compares two trainings, epoch by epoch.

    Args:
        one, other: their curves.
        tolerance: of shares, such as the mAP, the largest difference; of all other
            columns the largest one relative to the larger value.
        settings: of both, by names; None where they are not known.
    """
    common = [name for name in one.columns if name in other.columns]
    rows = [row for name in common if (row := _row(one, other, name, tolerance))]
    parted = [row for row in rows if row.epoch is not None]
    first = min(parted, key=lambda row: (row.epoch, _rank(row.column)), default=None)
    only = {
        own.name: [name for name in own.columns if name not in another.columns]
        for own, another in ((one, other), (other, one))
    }
    different = None
    if settings is not None:
        mine, theirs = settings
        names = [n for n in {**mine, **theirs} if mine.get(n) != theirs.get(n)]
        different = {name: (mine.get(name), theirs.get(name)) for name in names}
    return Comparison(one, other, tolerance, rows, first, only, different)


def _row(one: Curves, other: Curves, name: str, tolerance: float) -> Row | None:
    """Returns the row of a column; None if no epoch has a value in both."""
    epochs, own, theirs = np.intersect1d(
        one.epochs, other.epochs, return_indices=True, assume_unique=True
    )
    pairs = np.stack([one.columns[name][own], other.columns[name][theirs]], axis=1)
    kept = np.isfinite(pairs).all(axis=1)
    if not kept.any():
        return None
    epochs, pairs, steps = epochs[kept], pairs[kept], one.steps[own][kept]
    apart = differences(name, pairs)
    beyond = np.flatnonzero(apart > tolerance)
    place = beyond[0] if len(beyond) else len(epochs) - 1
    return Row(
        column=name,
        num_epochs=len(epochs),
        epoch=int(epochs[place]) if len(beyond) else None,
        step=float(steps[place]),
        values=_pair(pairs[place]),
        largest=float(apart.max()),
        largest_epoch=int(epochs[apart.argmax()]),
        last=_pair(pairs[-1]),
    )


def differences(column: str, pairs: np.ndarray) -> np.ndarray:
    """Returns float [n], how far the values of float [n, 2] are apart.

    Args:
        column: whose values they are; see `is_share`.
        pairs: without NaN.
    """
    apart = np.abs(pairs[:, 0] - pairs[:, 1])
    if is_share(column):
        return apart
    largest = np.abs(pairs).max(axis=1)
    return np.divide(apart, largest, out=np.zeros_like(apart), where=largest > 0)


def is_share(column: str) -> bool:
    """Returns whether a column has shares, which are compared as they are."""
    return column.startswith(_SHARES)


def _rank(column: str) -> int:
    """Returns the place in which a column is named; validations come last."""
    for place, start in enumerate(_ORDER):
        if column.startswith(start):
            return place
    return len(_ORDER) + column.startswith("val_")


def _pair(values: np.ndarray) -> tuple[float, float]:
    first, second = values.tolist()
    return first, second


def sentence(found: Comparison) -> str:
    """Returns where the two part, in a sentence."""
    row, names = found.first, (found.one.name, found.other.name)
    measure = f"a tolerance of {found.tolerance:g}"
    if row is None:
        epochs = max((own.num_epochs for own in found.rows), default=0)
        if not epochs:
            return "They have no epoch with a column in common."
        return f"They do not part within {epochs} common epochs, at {measure}."
    step = "" if math.isnan(row.step) else f" (step {row.step:.0f} of {names[0]})"
    values = " and ".join(
        f"{value:.6g} in {name}" for value, name in zip(row.values, names, strict=True)
    )
    return (
        f"They part first in epoch {row.epoch}{step}, at {measure}: {row.column} is "
        f"{values}."
    )
