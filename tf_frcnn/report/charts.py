"""Curves as SVG needs them: points, ticks and limits, in units of the drawing."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# The area of the curves, and the margins for the numbers beside and below it.
WIDTH, HEIGHT, LEFT, BELOW = 300, 140, 46, 20
# Points are marked where there are no more than these.
_MARKED = 60


class Line(NamedTuple):
    """A curve.

    Attributes:
        name: what it is called in the legend.
        xs: float [n].
        ys: float [n], NaN where there is no value.
        kind: number of its colour.
    """

    name: str
    xs: np.ndarray
    ys: np.ndarray
    kind: int = 0


class Tick(NamedTuple):
    """A number at an axis.

    Attributes:
        place: along the axis, in units of the drawing.
        text: the number.
    """

    place: float
    text: str


class Point(NamedTuple):
    """A value of a curve.

    Attributes:
        x, y: in units of the drawing.
        text: the value in words.
    """

    x: float
    y: float
    text: str


class Curve(NamedTuple):
    """A curve in units of the drawing.

    Attributes:
        kind: number of its colour.
        points: of an SVG polyline.
        marks: what is marked.
    """

    kind: int
    points: str
    marks: list[Point]


class Chart(NamedTuple):
    """Curves over one pair of axes.

    Attributes:
        title: of the chart.
        curves: the curves.
        xticks, yticks: numbers at the axes.
        mark: x of a vertical line, or None.
    """

    title: str
    curves: list[Curve]
    xticks: list[Tick]
    yticks: list[Tick]
    mark: float | None


def draw_chart(
    title: str, lines: Sequence[Line], *, unit: str = "epoch", mark: float | None = None
) -> Chart | None:
    """Returns a chart of curves; None if none has a value.

    Args:
        title: of the chart.
        lines: the curves.
        unit: of what runs to the right.
        mark: x of a vertical line.
    """
    finite = [np.isfinite(line.ys) for line in lines]
    own = [
        line._replace(xs=line.xs[kept], ys=line.ys[kept])
        for line, kept in zip(lines, finite, strict=True)
        if kept.any()
    ]
    if not own:
        return None
    xs = np.concatenate([line.xs for line in own])
    ys = np.concatenate([line.ys for line in own])
    xlimits = (float(xs.min()), float(xs.max()))
    ynumbers = nice_numbers(min(0.0, float(ys.min())), float(ys.max()))
    scale = (xlimits, (ynumbers[0], ynumbers[-1]))
    xnumbers = [n for n in nice_numbers(*xlimits) if n == round(n)]
    shown = [n for n in xnumbers if xlimits[0] <= n <= xlimits[1]] or [xlimits[0]]
    return Chart(
        title,
        [_curve(line, unit, scale) for line in own],
        [Tick(_x(n, scale), _text(n)) for n in shown],
        [Tick(_y(n, scale), _text(n)) for n in ynumbers],
        None if mark is None else _x(mark, scale),
    )


def nice_numbers(low: float, high: float) -> list[float]:
    """Returns 3 to 6 round numbers that reach from at most `low` to at least `high`."""
    span = high - low
    if span <= 0.0:
        span = abs(high) or 1.0
        high = low + span
    power = 10.0 ** math.floor(math.log10(span / 3))
    step = next(n * power for n in (1, 2, 5, 10) if span <= 4 * n * power)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    last = max(last, first + 1)
    return [float(f"{n * step:.12g}") for n in range(first, last + 1)]


Scale = tuple[tuple[float, float], tuple[float, float]]


def _curve(line: Line, unit: str, scale: Scale) -> Curve:
    places = [
        (_x(x, scale), _y(y, scale)) for x, y in zip(line.xs, line.ys, strict=True)
    ]
    marks = [
        Point(*place, f"{line.name}, {unit} {x:g}: {y:.4g}")
        for place, x, y in zip(places, line.xs, line.ys, strict=True)
    ]
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return Curve(line.kind, points, marks if len(marks) <= _MARKED else [])


def _x(value: float, scale: Scale) -> float:
    low, high = scale[0]
    share = (value - low) / (high - low) if high > low else 0.5
    return round(WIDTH * share, 1)


def _y(value: float, scale: Scale) -> float:
    low, high = scale[1]
    return round(HEIGHT * (1.0 - (value - low) / (high - low)), 1)


def _text(number: float) -> str:
    """Returns a short text: 0.002, 150, 1e-05, 20k."""
    if abs(number) >= 10000:
        return f"{number / 1000:g}k"
    return f"{number:g}"
