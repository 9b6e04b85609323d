"""The table of docs/references.md, from what the tests measured: --golden-table."""

from collections import defaultdict
from typing import NamedTuple

import pytest

from tests.helpers.golden import PROPERTY
from tests.helpers.paths import ROOT

PAGE = ROOT / "docs" / "references.md"
BEGIN = "<!-- Written by `pytest --golden-table`: begin -->\n"
END = "<!-- Written by `pytest --golden-table`: end -->\n"
HEADINGS = ("file", "quantity", "arrays", "largest difference", "tolerance")


class Measurement(NamedTuple):
    """How far a result was from a stored array."""

    file: str
    quantity: str
    array: str
    difference: float
    atol: float
    rtol: float


class GoldenTable:
    """Runs the tests that read golden files, and writes the table if all pass."""

    def __init__(self):
        self._measurements = []

    def pytest_collection_modifyitems(self, config, items):
        is_read = [
            "golden" in item.fixturenames and not item.get_closest_marker("xla")
            for item in items
        ]
        others = [item for item, own in zip(items, is_read, strict=True) if not own]
        items[:] = [item for item, own in zip(items, is_read, strict=True) if own]
        config.hook.pytest_deselected(items=others)

    def pytest_runtest_logreport(self, report):
        if report.when == "call":
            self._measurements += [
                Measurement(*values)
                for name, values in report.user_properties
                if name == PROPERTY
            ]

    def pytest_sessionfinish(self, session, exitstatus):
        is_worker = hasattr(session.config, "workerinput")
        if exitstatus == pytest.ExitCode.OK and not is_worker:
            text = PAGE.read_text(encoding="utf-8")
            PAGE.write_text(with_table(text, self._measurements), encoding="utf-8")


def with_table(text, measurements):
    """Returns a page with the table between its two marks."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{table_of(measurements)}\n{END}{after}"


def table_of(measurements):
    """Returns the table in Markdown, and a sentence that counts its arrays."""
    rows = defaultdict(list)
    for measurement in measurements:
        rows[measurement.file, measurement.quantity].append(measurement)
    cells = [_cells(rows[key]) for key in sorted(rows)]
    lines = [HEADINGS, ("---",) * len(HEADINGS), *cells]
    num_arrays = sum(int(cell[2]) for cell in cells)
    num_exact = sum(int(cell[2]) for cell in cells if cell[-1] == "exact")
    return (
        "".join(f"| {' | '.join(line)} |\n" for line in lines)
        + f"\n{num_arrays} arrays in {len(cells)} rows; "
        + f"{num_exact} of them must be equal in every value.\n"
    )


def _cells(measurements):
    """Returns the cells of one row: the largest difference over its arrays."""
    first = measurements[0]
    tolerances = {(each.atol, each.rtol) for each in measurements}
    assert len(tolerances) == 1, f"{first.file}, {first.quantity}: {tolerances}"
    parts = [f"{first.atol:.0e}"] * (first.atol > 0)
    parts += [f"{first.rtol:.0e} of the value"] * (first.rtol > 0)
    largest = max(each.difference for each in measurements)
    return (
        f"`{first.file}`",
        first.quantity,
        str(len({each.array for each in measurements})),
        f"{largest:.1e}" if largest else "0",
        " + ".join(parts) or "exact",
    )
