"""A report as one HTML file that loads nothing from elsewhere."""

from pathlib import Path
from typing import Any

from tf_frcnn.data import ExampleSet
from tf_frcnn.drawing.pages import render_page
from tf_frcnn.report.causes import FALSE_ALARM, MISS
from tf_frcnn.report.contents import Report
from tf_frcnn.report.gallery import gallery_of

_TEMPLATE = Path(__file__).parent / "page.html"
# Width and height of a curve in its own units.
_WIDTH, _HEIGHT = 200, 120
# A confusion matrix of more classes cannot be read; its pairs are listed.
_MATRIX_CLASSES = 30


def page_of(report: Report, examples: ExampleSet, run: str) -> str:
    """Returns the page of a report as HTML.

    Args:
        report: the report.
        examples: the data set, for the images.
        run: the name of the run.
    """
    rows = report.tree["causes"]
    pictures = gallery_of(report, examples)
    most = max([row["cost"] for row in rows], default=0.0)
    causes = [
        {**row, "pictures": own, "share": _percent(row["cost"], most)}
        for row, own in zip(rows, pictures, strict=True)
    ]
    return render_page(
        _TEMPLATE,
        {"polyline": polyline, "percent": lambda share: round(100 * share)},
        report=report.tree,
        run=run,
        groups={
            "Misses": [row for row in causes if row["group"] == MISS],
            "False alarms": [row for row in causes if row["group"] == FALSE_ALARM],
        },
        width=_WIDTH,
        height=_HEIGHT,
        shows_matrix=len(report.tree["classes"]) <= _MATRIX_CLASSES,
    )


def polyline(curve: dict[str, list[float]]) -> str:
    """Returns a precision-recall curve as the points of an SVG polyline."""
    recalls, precisions = curve["recall"], curve["precision"]
    if not recalls:
        return ""
    pairs = zip([0.0, *recalls], [precisions[0], *precisions], strict=True)
    return " ".join(f"{_WIDTH * r:.1f},{_HEIGHT * (1 - p):.1f}" for r, p in pairs)


def _percent(part: Any, whole: Any) -> int:
    return round(100 * max(part, 0.0) / whole) if whole > 0 else 0
