import numpy as np
import pytest

from tests.helpers.golden import GoldenFile, largest_difference, load_golden
from tests.helpers.golden_table import BEGIN, END, PAGE, Measurement, with_table
from tests.helpers.paths import GOLDEN


def test_the_largest_difference_takes_nan_for_equal_to_nan_alone():
    found, expected = np.array([1, 2.5, np.nan]), np.array([1, 2, np.nan])
    assert largest_difference(found, expected) == 0.5
    assert largest_difference(found, expected, relative=True) == 0.25
    assert largest_difference(found, np.array([1, 2.5, 3])) > 1e300
    assert largest_difference(found, expected[:2]) == np.inf


def test_a_comparison_records_what_it_measured_and_fails_beyond_the_tolerance():
    measured = []
    stored = GoldenFile("nms", measured)
    stored.compare("scores", "scores", stored["scores"])
    with pytest.raises(AssertionError, match="scores"):
        stored.compare("scores", "scores", stored["scores"] + 1, atol=0.5)
    with pytest.raises(AssertionError):
        stored.compare("scores", "scores", stored["scores"][:-1], atol=0.5)
    values = [Measurement(*values) for _, values in measured]
    assert [value.difference for value in values] == [0, pytest.approx(1), np.inf]
    assert values[1][:3] == ("nms", "scores", "scores")
    np.testing.assert_array_equal(stored["scores"], load_golden("nms")["scores"])


def test_the_table_stands_between_its_marks_with_a_row_for_each_quantity():
    page = f"Before.\n{BEGIN}Old.\n{END}After.\n"
    measurements = [
        Measurement("nms", "scores", "b", 2e-7, 1e-6, 0.0),
        Measurement("nms", "scores", "a", 1e-7, 1e-6, 0.0),
        Measurement("nms", "scores", "a", 3e-7, 1e-6, 0.0),
        Measurement("iou", "rows", "a", 0.0, 0.0, 0.0),
        Measurement("iou", "losses", "c", 0.5, 1e-4, 1e-5),
    ]
    page = with_table(page, measurements)
    assert page.startswith(f"Before.\n{BEGIN}") and page.endswith(f"{END}After.\n")
    assert page.split("\n")[5:9] == [
        "| `iou` | losses | 1 | 5.0e-01 | 1e-04 + 1e-05 of the value |",
        "| `iou` | rows | 1 | 0 | exact |",
        "| `nms` | scores | 2 | 3.0e-07 | 1e-06 |",
        "",
    ]
    assert "4 arrays in 3 rows; 1 of them must be equal in every value." in page
    assert with_table(page, measurements) == page


def test_a_quantity_has_one_tolerance():
    measurements = [
        Measurement("nms", "scores", "a", 0.0, atol, 0.0) for atol in (1e-6, 1e-5)
    ]
    with pytest.raises(AssertionError, match="nms, scores"):
        with_table(BEGIN + END, measurements)


def test_the_page_has_a_row_of_each_golden_file():
    table = PAGE.read_text(encoding="utf-8").split(BEGIN)[1].split(END)[0]
    in_table = {line.split("`")[1] for line in table.splitlines() if "| `" in line}
    assert in_table == {path.stem for path in GOLDEN.glob("*.npz")}
