"""An examination on one screen of a terminal."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tf_frcnn.doctor.advice import Advice
from tf_frcnn.doctor.classes import ClassRow
from tf_frcnn.doctor.examination import Examination
from tf_frcnn.doctor.findings import SEVERITIES, Finding
from tf_frcnn.doctor.sizes import SizeRow

# Rows of a table: what comes after them is in the report.
_MAX_ROWS = 12
_FILES_NAMED = 2
_COLORS = {"serious": "bold red", "warning": "yellow", "note": "dim"}


def print_examination(found: Examination, console: Console | None = None) -> None:
    """Prints the tables of an examination, and its findings last."""
    console = console or Console()
    console.print(_splits(found))
    console.print(_classes(found))
    if found.advice is not None:
        for sentence in _anchors(found.advice):
            console.print(Text(sentence), soft_wrap=True)
    for line in finding_lines(found.findings[:_MAX_ROWS]):
        console.print(line, soft_wrap=True)
    more = len(found.findings) - _MAX_ROWS
    if more > 0:
        console.print(f"... and {more} more; --output DIR writes them all.")
    console.print(Text(f"{found.data}: {summary(found)}"), soft_wrap=True)


def finding_lines(findings: Sequence[Finding]) -> list[Text]:
    """Returns a line for each finding, with its first files and its remedy."""
    lines = []
    for found in findings:
        line = Text(f"{found.severity}: ", _COLORS[found.severity])
        # As Text, since names may hold brackets, rich's markup.
        line.append(f"{found.message} ", "default")
        if found.files:
            named = [Path(file).name for file in found.files[:_FILES_NAMED]]
            more = " ..." if len(found.files) > _FILES_NAMED else ""
            line.append(f"({', '.join(named)}{more}) ", "default")
        line.append(found.remedy, "dim")
        lines.append(line)
    return lines


def summary(found: Examination) -> str:
    """Returns the numbers of findings in a sentence."""
    if not found.findings:
        return "Nothing was found wrong."
    counts = [sum(f.severity == name for f in found.findings) for name in SEVERITIES]
    words = [f"{n} {name}" for n, name in zip(counts, SEVERITIES, strict=True)]
    return f"Findings: {', '.join(words)}."


def _anchors(advice: Advice) -> list[str]:
    """Returns what anchors reach, and the settings that raise it, in sentences."""
    said = advice.before.sentences()
    if advice.settings:
        settings = ", ".join(f"{path} = {v}" for path, v in advice.settings.items())
        said.append(
            f"Proposed, with a reach of {advice.after.class_ceiling:.1%}: {settings}."
        )
    return said


def _splits(found: Examination) -> Table:
    columns = ("split", "images", "left out", "objects", "difficult", "without object")
    table = _table(columns)
    table.caption = "* to train on"
    for row in found.splits:
        name = row.name or "all"
        name += " *" if row.name == found.training else ""
        negatives = f"{row.negatives} ({row.negatives / row.images:.0%})"
        numbers = (row.images, row.lost, row.objects, row.difficult)
        table.add_row(Text(name), *map(str, numbers), negatives)
    return table


def _classes(found: Examination) -> Table:
    """Returns the classes, those of the fewest objects to train on first."""
    names = [row.name for row in found.splits]
    sizes = {row.name: row for row in found.sizes}
    table = _table(("class", *(name or "all" for name in names), "side", "shape"))
    rows = sorted(found.classes, key=lambda row: row.objects[found.training])
    for row in rows[:_MAX_ROWS]:
        counts = [_count(row, name) for name in names]
        table.add_row(Text(row.name), *counts, *_size(sizes.get(row.name)))
    more = len(rows) - _MAX_ROWS
    long_side = f", {found.long_side} at most" if found.long_side else ""
    table.caption = (
        "Objects (images) by split; sides in pixels of the network's images (short "
        f"side {found.short_side}{long_side}); shape: height over width."
        + (f" {more} more classes have more objects." if more > 0 else "")
    )
    return table


def _count(row: ClassRow, split: str) -> str:
    return f"{row.objects[split]} ({row.images[split]})"


def _size(row: SizeRow | None) -> tuple[str, str]:
    if row is None:
        return "-", "-"
    return (
        f"{row.smallest:.0f} - {row.median:.0f} - {row.largest:.0f}",
        f"{row.ratio:.2f}",
    )


def _table(columns: Sequence[str]) -> Table:
    table = Table(caption_justify="left")
    for number, column in enumerate(columns):
        table.add_column(Text(column), justify="right" if number else "left")
    return table
