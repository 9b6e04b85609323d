import numpy as np
import pytest

from tf_frcnn.config import make_config
from tf_frcnn.data.examples import Record
from tf_frcnn.doctor.overlaps import lost_shares, overlap_choices, overlaps_in_class

NAMES = ("cell", "plate")


def record(boxes, labels, crowd=None):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    crowd = np.zeros(len(boxes), bool) if crowd is None else np.array(crowd)
    labels, difficult = np.array(labels, np.int32), np.zeros(len(boxes), bool)
    return Record("a", "a.png", 100, 100, 1, boxes, labels, difficult, crowd)


# IoUs of 1/3, 1/2 and 2/3 with the first.
FIRST, THIRD, HALF, MOST = (
    [0, 0, 10, 12],
    [0, 6, 10, 18],
    [0, 4, 10, 16],
    [0, 2.4, 10, 14.4],
)
ALONE = [50, 50, 60, 60]


def test_each_object_has_its_largest_overlap_within_its_class():
    records = [
        record([FIRST, THIRD, ALONE, FIRST], [0, 0, 0, 1]),
        record([FIRST, HALF, FIRST], [0, 0, 0], [False, False, True]),
        record([], []),
    ]
    cells, plates = overlaps_in_class(records, 2)
    np.testing.assert_allclose(cells, [1 / 3, 1 / 3, 0, 1 / 2, 1 / 2])
    assert plates.tolist() == [0.0]
    np.testing.assert_allclose(lost_shares([cells, plates], 0.4), [2 / 5, 0])


def choices(pairs, number=100, keep=(), **detections):
    """Returns the choices for so many objects, some of which overlap in pairs."""
    records = [record([FIRST, other], [0, 0]) for other in pairs]
    alone = number - 2 * len(pairs)
    records += [record([ALONE], [0]) for _ in range(alone)]
    config = make_config({"detections": detections}, "x")
    return overlap_choices(records, NAMES, config, keep)


@pytest.mark.parametrize(("other", "chosen"), [(THIRD, 0.4), (HALF, 0.5), (MOST, 0.7)])
def test_the_least_threshold_is_chosen_that_leaves_them(other, chosen):
    (choice,) = choices([other] * 5)
    assert choice.settings == {"detections.nms_iou": chosen}
    assert choice.reason.startswith("10.0% of the cell objects overlap another")
    assert choice.reason.endswith(f"above {chosen:g} it is 0.0%.")


def test_one_in_twenty_may_be_lost():
    assert choices([THIRD] * 5, number=200) == []
    assert len(choices([THIRD] * 5, number=198)) == 1


def test_fewer_than_ten_objects_change_nothing():
    assert choices([THIRD] * 4, number=20) == []


def test_where_no_threshold_will_do_none_is_chosen():
    assert choices([FIRST] * 9) == []


def test_a_threshold_is_never_lowered():
    assert choices([THIRD] * 5, nms_iou=0.5) == []
    assert choices([MOST] * 9, nms_iou=0.6)[0].settings == {"detections.nms_iou": 0.7}


def test_what_the_user_sets_stays():
    assert choices([THIRD] * 9, keep=["detections.nms_iou"]) == []


def test_data_without_objects_change_nothing():
    assert overlap_choices([record([], [])], NAMES, make_config({}, "x")) == []
