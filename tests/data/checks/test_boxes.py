import numpy as np
import pytest

from tf_frcnn.data.checks.boxes import (
    DrawnObject,
    known_objects,
    objects_inside,
    ordered_objects,
)
from tf_frcnn.data.checks.problems import DataError, Policy, Problems


def cat(*corners):
    return DrawnObject("cat", corners, False)


def test_a_sound_box_passes_untouched():
    problems = Problems()
    assert ordered_objects([cat(1, 2, 3, 4)], problems, "a") == [cat(1, 2, 3, 4)]
    assert problems.rows == []


@pytest.mark.parametrize("corners", [(3, 2, 1, 4), (1, 4, 3, 2), (3, 4, 1, 2)])
def test_swapped_corners_are_put_in_order(corners):
    problems = Problems()
    assert ordered_objects([cat(*corners)], problems, "a") == [cat(1, 2, 3, 4)]
    assert problems.counts() == {"swapped_corners": 1}


def test_swapped_corners_are_dropped_if_the_policy_says_so():
    problems = Problems(Policy({"swapped_corners": "drop"}))
    assert ordered_objects([cat(3, 2, 1, 4)], problems, "a") == []


@pytest.mark.parametrize("corners", [(5, 2, 5, 9), (5, 2, 8, 2), (5, 2, 5, 2)])
def test_a_box_between_equal_corners_is_dropped(corners):
    problems = Problems()
    assert ordered_objects([cat(*corners)], problems, "a") == []
    assert problems.counts() == {"zero_area_box": 1}
    assert problems.rows[0].action == "drop"


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_a_box_that_is_not_finite_is_dropped(bad):
    problems = Problems()
    assert ordered_objects([cat(1, bad, 3, 4)], problems, "a") == []
    assert problems.counts() == {"non_finite_box": 1}


def test_an_unknown_class_stops_with_the_nearest_name():
    with pytest.raises(DataError) as error:
        known_objects([cat(1, 2, 3, 4)], ("car", "cart"), Problems(), "a.xml")
    assert str(error.value) == (
        "a.xml: unknown_class: 'cat' is not one of the classes car, cart; did you mean "
        "'cart'? Correct the data, or set the policy for unknown_class to drop. "
        "Or is it data.class_names?"
    )


def test_an_unknown_class_can_be_left_out():
    problems = Problems(Policy({"unknown_class": "drop"}))
    dog = DrawnObject("dog", (1, 2, 3, 4), True)
    assert known_objects([cat(1, 2, 3, 4), dog], ("dog",), problems, "a") == [dog]
    assert problems.counts() == {"unknown_class": 1}


def test_boxes_are_clipped_and_those_wholly_outside_are_dropped():
    problems = Problems()
    corners = [(0, 0, 10, 20), (-1, 2, 5, 25), (12, 2, 15, 5), (4, 20, 6, 22)]
    objects = [cat(*box) for box in corners]
    checked = objects_inside(
        objects, np.array(corners, float), (10, 20), ("dog", "cat"), problems, "a"
    )
    np.testing.assert_array_equal(checked.boxes, [[0, 0, 10, 20], [0, 2, 5, 20]])
    np.testing.assert_array_equal(checked.labels, [1, 1])
    assert [row.action for row in problems.rows] == ["repair", "drop", "drop"]
    assert checked.boxes.dtype == np.float32 and checked.labels.dtype == np.int32


def test_boxes_that_reach_outside_are_dropped_if_the_policy_says_so():
    problems = Problems(Policy({"box_outside": "drop"}))
    boxes = np.array([[0.0, 0.0, 11.0, 20.0]])
    checked = objects_inside(
        [cat(0, 0, 11, 20)], boxes, (10, 20), ("cat",), problems, ""
    )
    assert checked.boxes.shape == (0, 4) and problems.counts() == {"box_outside": 1}


@pytest.mark.parametrize("beyond", [0.009, 0.011])
def test_what_is_outside_by_rounding_is_no_fault(beyond):
    problems = Problems()
    objects = [cat(2, 3, 10 + beyond, 20), cat(10, 3, 10 + beyond, 20)]
    boxes = np.array([own.corners for own in objects])
    checked = objects_inside(objects, boxes, (10, 20), ("cat",), problems, "a")
    np.testing.assert_array_equal(checked.boxes, [[2, 3, 10, 20]])
    expected = ["drop"] if beyond < 0.01 else ["repair", "drop"]
    assert [row.action for row in problems.rows] == expected
