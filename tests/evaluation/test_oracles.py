import numpy as np
import pytest

from tests.evaluation.test_voc import SQUARE, found, objects
from tf_frcnn.evaluation.oracles import cost_of_false_alarms, cost_of_misses

FAR = [100, 100, 110, 110]
# Class 0: found behind a wrong detection, and missed once. Class 1: missed.
TRUTH = objects((0, SQUARE, 0, False), (0, FAR, 0, False), (1, SQUARE, 1, False))
FOUND = found((0, [50, 50, 60, 60], 0.9, 0), (0, SQUARE, 0.8, 0))


def test_a_missed_object_of_a_class_without_detections_costs_its_share_of_the_mean():
    cost = cost_of_misses(TRUTH, FOUND, np.array([2]), 2, metric="area")
    assert cost == pytest.approx(1 / 2)


def test_a_missed_object_is_found_before_all_others():
    # Right, wrong, right: recall 1/2 at precision 1, 1 at 2/3; before 1/2 at 1/2.
    cost = cost_of_misses(TRUTH, FOUND, np.array([1]), 2, metric="area")
    assert cost == pytest.approx((1 / 2 + 1 / 2 * 2 / 3 - 1 / 4) / 2)


def test_a_false_alarm_costs_what_its_absence_gains():
    wrong = np.array([True, False])
    cost = cost_of_false_alarms(TRUTH, FOUND, wrong, 2, metric="area")
    assert cost == pytest.approx((1 / 2 - 1 / 4) / 2)
    assert cost_of_false_alarms(TRUTH, FOUND, ~wrong & wrong, 2) == 0


def test_the_metric_is_the_callers():
    missed = np.array([1])
    strict = {"metric": "11-point", "iou_threshold": 0.9}
    eleven = (6 * 1 + 5 * 2 / 3) / 11 - 6 / 11 * 1 / 2
    assert cost_of_misses(TRUTH, FOUND, missed, 2, **strict) == pytest.approx(
        eleven / 2
    )


def test_without_a_detection_all_is_won():
    nothing = type(FOUND)(*(column[:0] for column in FOUND))
    assert cost_of_misses(TRUTH, nothing, np.arange(3), 2) == pytest.approx(1)
