import io
import json
import re

import pytest
from rich.console import Console

from tests.helpers.paths import ROOT
from tf_frcnn.data.checks.problems import (
    ALLOWED_ACTIONS,
    DataError,
    Policy,
    Problems,
)


def test_every_problem_is_counted_and_every_file_named_once():
    problems = Problems()
    problems.add("zero_area_box", "a.xml", "first")
    problems.add("zero_area_box", "a.xml", "second")
    problems.add("missing_image", "b", "gone")
    assert problems.counts() == {"missing_image": 1, "zero_area_box": 2}
    assert problems.files("zero_area_box") == ["a.xml"]


def test_the_default_actions_repair_what_can_be_and_stop_at_unknown_classes():
    problems = Problems()
    assert problems.add("swapped_corners", "a.xml", "x") == "repair"
    assert problems.add("zero_area_box", "a.xml", "x") == "drop"
    assert problems.add("empty_annotation", "a.xml", "x") == "keep"
    with pytest.raises(DataError, match="unknown_class"):
        problems.add("unknown_class", "a.xml", "x")


def test_a_policy_that_raises_says_file_fault_and_remedy():
    problems = Problems(Policy({"box_outside": "raise"}))
    with pytest.raises(DataError) as error:
        problems.add("box_outside", "a.xml", "cat has xmax 90")
    assert str(error.value) == (
        "a.xml: box_outside: cat has xmax 90. Correct the data, or set the policy for "
        "box_outside to repair or drop."
    )


def test_a_policy_for_an_unknown_kind_names_the_nearest():
    with pytest.raises(DataError, match="did you mean 'zero_area_box'"):
        Policy({"zero_area_boxes": "drop"})


def test_a_policy_that_cannot_be_carried_out_names_the_possible_ones():
    with pytest.raises(DataError) as error:
        Policy({"unreadable_image": "repair"})
    assert str(error.value) == (
        "policy: unreadable_image = 'repair' is not possible; it may be drop or raise."
    )


def test_the_table_names_three_files_and_counts_the_rest():
    problems = Problems()
    for number in range(5):
        problems.add("missing_image", f"[red]{number}", "there is none")
    printed = io.StringIO()
    problems.print(Console(file=printed, width=120))
    assert "[red]0, [red]1, [red]2 and 2 more" in printed.getvalue()


def test_nothing_is_printed_where_nothing_is_wrong():
    printed = io.StringIO()
    Problems().print(Console(file=printed))
    assert printed.getvalue() == ""


def test_json_keeps_every_row():
    problems = Problems()
    problems.add("wrong_size", "a.xml", "it says 1 x 2")
    assert json.loads(problems.to_json()) == [
        {
            "kind": "wrong_size",
            "file": "a.xml",
            "detail": "it says 1 x 2",
            "action": "repair",
        }
    ]


def test_a_fatal_error_tells_the_first_of_each_kind_of_loss_and_prints_all(capsys):
    problems = Problems()
    problems.add("rotated_image", "a.jpg", "EXIF 6")
    for number in range(2):
        problems.add("missing_image", f"b{number}", "gone")
    problems.add("unreadable_image", "c.png", "cut off")
    error = problems.fatal("cells has no image")
    assert isinstance(error, DataError)
    assert str(error) == (
        "cells has no image: missing_image, first b0: gone; unreadable_image, first "
        "c.png: cut off."
    )
    assert "rotated_image" in capsys.readouterr().out


def test_a_fatal_error_without_problems_is_its_message():
    assert str(Problems().fatal("It is empty")) == "It is empty."
    assert str(Problems().fatal("Did you mean x?")) == "Did you mean x?"


def test_a_policy_that_raises_prints_what_was_found_before(capsys):
    problems = Problems()
    problems.add("missing_image", "b", "gone")
    with pytest.raises(DataError):
        problems.add("unknown_class", "a.xml", "'cta' is not a class")
    assert "missing_image" in capsys.readouterr().out


def test_the_page_of_faults_has_every_kind_with_its_actions():
    page = (ROOT / "docs" / "data_faults.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| ([a-z, ]+) \| .+ \|$", page, re.MULTILINE)
    assert {kind: tuple(actions.split(", ")) for kind, actions in rows} == (
        ALLOWED_ACTIONS
    )


def test_what_files_say_neither_ends_a_line_nor_commands_a_terminal():
    hostile = "a\x1b[2Jb\nc\u2028d\u202ee\udc80"
    expected = r"a\x1b[2Jb\nc\u2028d\u202ee?"
    assert str(DataError(hostile)) == expected
    problems = Problems()
    problems.add("unreadable_image", hostile, hostile)
    assert problems.rows[0][1:3] == (expected, expected)
    assert str(DataError("größte Katze, C:\\a")) == "größte Katze, C:\\a"
