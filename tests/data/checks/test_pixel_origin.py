import pytest

from tf_frcnn.data.checks.boxes import DrawnObject
from tf_frcnn.data.checks.pixel_origin import notice_counting_from_0
from tf_frcnn.data.checks.problems import DataError, Policy, Problems


def files(*starts):
    """Returns one file per number, with a box that begins there and another one."""
    return [
        [
            DrawnObject("a", (9, start, 30, 40), False),
            DrawnObject("a", (5, 5, 6, 6), False),
        ]
        for start in starts
    ]


@pytest.mark.parametrize(
    ("starts", "is_noticed"),
    [
        ((0, 0, 0, 7, 8), True),
        ((0, 0.5, 0, 1, 1), True),
        ((0, 0, 7, 8), False),  # Two slips.
        ((0, 0, 0, 1, 1, 1), False),
        ((1, 1, 1, 1, 9), False),
        ((-1, -1, -1, -1), False),
        ((0, 0, 0, *[7] * 400), False),
        ((), False),
    ],
)
def test_many_boxes_at_0_and_few_at_1_count_from_0(starts, is_noticed):
    problems = Problems()
    notice_counting_from_0(files(*starts), problems, "cells:train")
    assert problems.counts() == ({"counted_from_0": 1} if is_noticed else {})
    assert problems.files("counted_from_0") == ["cells:train"] * is_noticed


def test_the_upper_border_counts_as_well_and_the_remedy_is_named():
    drawn = [[DrawnObject("a", (0, 5, 30, 40), False)]] * 4
    problems = Problems()
    notice_counting_from_0(iter([*drawn, *files(1)]), problems, "cells")
    (row,) = problems.rows
    assert row.detail.startswith(
        "in 4 of 5 files a box begins at pixel 0, in 1 at pixel 1"
    )
    assert "one_based: false" in row.detail and row.action == "keep"


def test_it_may_be_an_error():
    problems = Problems(Policy({"counted_from_0": "raise"}))
    with pytest.raises(DataError, match=r"cells: counted_from_0: .* one_based"):
        notice_counting_from_0(files(0, 0, 0), problems, "cells")
