"""Two trainings over each other, as one HTML file that loads nothing from elsewhere."""

from pathlib import Path

from tf_frcnn.drawing.pages import render_page
from tf_frcnn.report.charts import Chart, Line, draw_chart
from tf_frcnn.report.comparing import Comparison, Row, sentence
from tf_frcnn.report.training import LOSSES, SIDES, STEPS, VALIDATION

_TEMPLATE = Path(__file__).parent / "comparison.html"


def page_of(found: Comparison) -> str:
    """Returns the page of a comparison as HTML."""
    groups: dict[str, list[str]] = {"Validation": [], "Losses": [], "Steps": []}
    groups |= {"Classes": [], "Other columns": []}
    for name in dict.fromkeys([*found.one.columns, *found.other.columns]):
        groups[_group(name)].append(name)
    return render_page(
        _TEMPLATE,
        found=found,
        names=(found.one.name, found.other.name),
        sentence=sentence(found),
        sides=SIDES,
        groups={
            title: [chart for name in names if (chart := _chart(found, name))]
            for title, names in groups.items()
        },
    )


def _group(column: str) -> str:
    if column in LOSSES or column.removeprefix("val_") in LOSSES:
        return "Losses"
    if column in VALIDATION:
        return "Validation"
    if column in STEPS:
        return "Steps"
    return "Classes" if "/" in column else "Other columns"


def _chart(found: Comparison, column: str) -> Chart | None:
    both = (found.one, found.other)
    lines = [
        Line(own.name, own.epochs, own.of(column), kind)
        for kind, own in enumerate(both)
    ]
    row = next((row for row in found.rows if row.column == column), None)
    return draw_chart(column, lines, mark=_mark(row))


def _mark(row: Row | None) -> float | None:
    return row.epoch if row is not None else None
