import numpy as np
import pytest

from tf_frcnn.evaluation import DetectedBoxes
from tf_frcnn.export.rounding import Thresholds, find_differences, find_partners

THRESHOLDS = Thresholds(
    np.full(9, 0.05), side=0.0, iou=0.5, most=3, across_classes=False
)
# Each pair of these overlaps by a third, the first and the last not at all.
LEFT, MIDDLE, RIGHT = [0, 0, 10, 10], [0, 5, 10, 15], [0, 10, 10, 20]
# IoU 0.5, and nearly so, with LEFT.
AT_THRESHOLD, NEAR = [0, 0, 10, 20], [0, 0, 10, 19.99]
OVER = [0, 1, 10, 11]  # IoU 0.82 with LEFT


def detections(*rows):
    """Detections of one image from (box, score) or (box, score, label)."""
    rows = [(*row, 0)[:3] for row in rows]
    return DetectedBoxes(
        image_index=np.zeros(len(rows), int),
        boxes=np.array([box for box, _, _ in rows], float).reshape(-1, 4),
        scores=np.array([score for _, score, _ in rows], float),
        labels=np.array([label for _, _, label in rows], int),
    )


def differences(own, found, *others, **changed):
    """Compares two lists; the candidates are own ones and others."""
    return find_differences(
        detections(*own),
        detections(*found),
        THRESHOLDS._replace(**changed),
        lambda: detections(*own, *others),
    )


def test_partners_are_near_in_box_and_score_and_of_one_class():
    own = detections((LEFT, 0.9), (MIDDLE, 0.8), (RIGHT, 0.7), (LEFT, 0.6, 1))
    near = np.add(MIDDLE, 0.49)
    found = detections(
        (RIGHT, 0.7011), (near, 0.8009), (LEFT, 0.9), (LEFT, 0.6, 0), (LEFT, 0.6, 2)
    )
    np.testing.assert_array_equal(find_partners(own, found), [2, 1, -1, -1])
    far = detections((np.add(LEFT, 0.51), 0.9))
    np.testing.assert_array_equal(find_partners(own, far), [-1] * 4)


def test_a_partner_is_taken_once_and_is_the_nearest():
    own = detections((LEFT, 0.9), (np.add(LEFT, 0.3), 0.9))
    found = detections((np.add(LEFT, 0.3), 0.9), (np.add(LEFT, 0.1), 0.9))
    np.testing.assert_array_equal(find_partners(own, found), [1, 0])
    assert find_partners(own, detections((LEFT, 0.9)))[1] == -1


EXPLAINED = {
    "a score at the threshold": ([(LEFT, 0.9), (RIGHT, 0.0505)], [(LEFT, 0.9)], {}),
    "an overlap at the threshold": (
        [(LEFT, 0.9), (AT_THRESHOLD, 0.8)],
        [(LEFT, 0.9)],
        {},
    ),
    "an overlap near the threshold": ([(LEFT, 0.9), (NEAR, 0.8)], [(LEFT, 0.9)], {}),
    "what such a one suppresses": (
        [(LEFT, 0.9), (AT_THRESHOLD, 0.8)],
        [(LEFT, 0.9), ([0, 6, 10, 20], 0.7)],
        {},
    ),
    "the last place": (
        [(LEFT, 0.9), (RIGHT, 0.8)],
        [(LEFT, 0.9), (MIDDLE, 0.7995)],
        {"most": 2},
    ),
    "equal scores": ([(LEFT, 0.9)], [(OVER, 0.9005)], {}),
    "a side at the limit": (
        [(LEFT, 0.9), ([20, 20, 24.9, 30], 0.8)],
        [(LEFT, 0.9)],
        {"side": 5.0},
    ),
    "overlaps of two classes": (
        [(LEFT, 0.9), (AT_THRESHOLD, 0.8, 1)],
        [(LEFT, 0.9)],
        {"across_classes": True},
    ),
}


@pytest.mark.parametrize("name", EXPLAINED)
def test_rounding_explains_what_lies_at_a_threshold_on_either_side(name):
    one, other, settings = EXPLAINED[name]
    for own, found in ((one, other), (other, one)):
        result = differences(own, found, *found, **settings)
        assert not result.missing.any() and not result.added.any()
        assert result.num_accepted == len({*map(str, own)} ^ {*map(str, found)})


UNEXPLAINED = {
    "a good score": ([(LEFT, 0.9), (RIGHT, 0.052)], [(LEFT, 0.9)], {}),
    "not a number": ([(LEFT, 0.9), (RIGHT, np.nan)], [(LEFT, 0.9)], {}),
    "a score below the threshold": ([(LEFT, 0.9), (RIGHT, 0.0)], [(LEFT, 0.9)], {}),
    "a small overlap": ([(LEFT, 0.9), (MIDDLE, 0.8)], [(LEFT, 0.9)], {}),
    "a worse one that overlaps": ([(LEFT, 0.9)], [(OVER, 0.8)], {}),
    "an overlap of two classes": (
        [(LEFT, 0.9), (AT_THRESHOLD, 0.8, 1)],
        [(LEFT, 0.9)],
        {},
    ),
    "a full list of worse ones": (
        [(LEFT, 0.9)],
        [(RIGHT, 0.8)],
        {"most": 1},
    ),
    "no suppression": ([(LEFT, 0.9), (OVER, 0.8)], [(LEFT, 0.9)], {}),
    "another class": ([(LEFT, 0.9)], [(LEFT, 0.9, 1)], {}),
}


@pytest.mark.parametrize("name", UNEXPLAINED)
def test_rounding_does_not_explain(name):
    one, other, settings = UNEXPLAINED[name]
    for own, found in ((one, other), (other, one)):
        result = differences(own, found, *found, **settings)
        assert result.missing.any() or result.added.any()


def test_what_the_original_does_not_have_before_suppression_is_not_accepted():
    shifted = np.add(LEFT, 1)  # as good as the own one, which it overlaps
    result = differences([(LEFT, 0.9)], [(shifted, 0.9)])
    np.testing.assert_array_equal(result.added, [True])
    accepted = differences([(LEFT, 0.9)], [(shifted, 0.9)], (shifted, 0.9))
    assert accepted.num_accepted == 2 and not accepted.added.any()


def test_what_soft_suppression_has_lowered_was_better_before():
    # The export has lowered the second one for its overlap at the threshold.
    own, found = ([(LEFT, 0.9), (AT_THRESHOLD, score)] for score in (0.8, 0.4))
    assert differences(own, found).added.any()
    soft = differences(own, found, is_soft=True)
    assert soft.num_accepted == 2 and not (soft.added | soft.missing).any()
    raised = differences(found, own, is_soft=True)
    assert raised.added.tolist() == [False, True]


def test_empty_lists_are_equal():
    result = differences([], [])
    assert result.num_accepted == 0 and len(result.partners) == 0
    assert differences([(LEFT, 0.9)], []).missing.all()
    assert differences([], [(LEFT, 0.9)], (LEFT, 0.9)).added.all()
