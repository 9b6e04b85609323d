import dataclasses
import io

import pytest
from rich.console import Console

from tf_frcnn.doctor.findings import Finding
from tf_frcnn.doctor.terminal import finding_lines, print_examination, summary


@pytest.fixture
def shown(examined):
    def show(found=examined, width=100):
        console = Console(file=io.StringIO(), width=width)
        print_examination(found, console)
        return console.file.getvalue()

    return show


def test_one_screen_has_the_tables_and_the_first_findings(shown):
    text = shown()
    for part in ("train *", "90 (", "fox", "0 (0)", "serious: 1 of the 14 val"):
        assert part in text
    assert "Most objects lie below the smallest anchor: ant." in text
    assert "Proposed, with a reach of" in text and "anchors.scales = [" in text
    assert "more; --output DIR writes them all." in text
    assert text.count("\n") < 60


def test_names_are_no_markup(examined, shown):
    finding = Finding("background_class", "'[red]x[/red]' is a class.", ("[b]a.jpg",))
    row = examined.classes[0]._replace(name="[bold]y[/bold]")
    text = shown(
        dataclasses.replace(
            examined, findings=(finding,), classes=(row,), data="[z]", sizes=()
        )
    )
    for name in ("'[red]x[/red]'", "[b]a.jpg", "[bold]y[/bold]", "[z]: Findings"):
        assert name in text


def test_a_line_has_the_severity_the_first_files_and_the_remedy():
    files = tuple(f"a/b/{n}.jpg" for n in range(3))
    (line,) = finding_lines([Finding("repeated_images", "Copies: 3.", files)])
    assert line.plain == (
        "warning: Copies: 3. (0.jpg, 1.jpg ...) Delete the copies: `tf-frcnn doctor "
        "--fix` does so."
    )


def test_the_summary_counts_severities(examined):
    empty = dataclasses.replace(examined, findings=())
    assert summary(empty) == "Nothing was found wrong."
    found = [Finding("tiny_boxes", ""), Finding("no_objects", "")]
    some = dataclasses.replace(examined, findings=tuple(found))
    assert summary(some) == "Findings: 1 serious, 1 warning, 0 note."
