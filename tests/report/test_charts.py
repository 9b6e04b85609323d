import numpy as np
import pytest

from tf_frcnn.report.charts import HEIGHT, WIDTH, Line, draw_chart, nice_numbers


@pytest.mark.parametrize(
    ("low", "high", "numbers"),
    [
        (0.0, 1.0, [0, 0.5, 1]),
        (0.0, 0.87, [0, 0.5, 1]),
        (0.0, 3.0, [0, 1, 2, 3]),
        (0.0, 0.00234, [0, 0.001, 0.002, 0.003]),
        (-1.0, 2.0, [-1, 0, 1, 2]),
        (0.0, 0.0, [0, 0.5, 1]),
        (1.0, 120.0, [0, 50, 100, 150]),
    ],
)
def test_ticks_are_round_numbers_that_enclose_the_values(low, high, numbers):
    assert nice_numbers(low, high) == numbers


def test_many_values_have_few_ticks():
    for high in np.geomspace(1e-6, 1e6, 50):
        ticks = nice_numbers(0.0, high)
        assert 3 <= len(ticks) <= 6 and ticks[-1] >= high * (1 - 1e-9)


def test_a_chart_begins_at_zero_and_leaves_gaps_out():
    ys = np.array([np.nan, 1.0, 2.0])
    chart = draw_chart("a", [Line("run", np.array([1, 2, 3]), ys)], mark=3)
    (curve,) = chart.curves
    assert curve.points == f"0.0,{HEIGHT / 2} {WIDTH}.0,0.0"
    assert [mark.text for mark in curve.marks] == [
        "run, epoch 2: 1",
        "run, epoch 3: 2",
    ]
    assert (chart.yticks[0].place, chart.yticks[0].text) == (HEIGHT, "0")
    assert [tick.text for tick in chart.xticks] == ["2", "3"] and chart.mark == WIDTH


def test_one_epoch_is_a_point_and_none_no_chart():
    one = np.array([4])
    chart = draw_chart("a", [Line("run", one, np.array([0.5]), 1)])
    assert chart.curves[0].points == "150.0,23.3" and chart.curves[0].kind == 1
    assert [tick.text for tick in chart.xticks] == ["4"]
    assert draw_chart("a", [Line("run", one, np.array([np.nan]))]) is None


def test_long_curves_have_no_marks():
    xs = np.arange(1, 200)
    assert draw_chart("a", [Line("run", xs, 1.0 * xs)]).curves[0].marks == []
