import numpy as np
import pytest

from tf_frcnn.evaluation import DetectedBoxes, Judgement
from tf_frcnn.evaluation.operating_points import (
    at_precision,
    best_f1,
    calibration_error,
    operating_points,
    reliability,
)

# Of class 1, best last; one detection is of class 0, one is not counted.
SCORES = np.array([0.2, 0.3, 0.3, 0.6, 0.7, 0.95, 0.99])
RIGHT = np.array([0, 1, 0, 1, 0, 0, 0], bool)
COUNTED = np.array([1, 1, 1, 1, 1, 0, 1], bool)
LABELS = np.array([1, 1, 1, 1, 1, 1, 0])
FOUND = DetectedBoxes(np.zeros(7, int), np.zeros([7, 4]), SCORES, LABELS)
JUDGED = Judgement(np.full(7, -1), RIGHT, COUNTED)


@pytest.fixture
def points():
    return operating_points(FOUND, JUDGED, 1, num_objects=4)


def test_a_point_for_each_score_of_the_class(points):
    np.testing.assert_allclose(
        points,
        [
            [0.65, 0, 0, 0],
            [0.45, 1 / 2, 1 / 4, 1 / 3],
            [0.25, 2 / 4, 2 / 4, 1 / 2],
            [0.1, 2 / 5, 2 / 4, 4 / 9],
        ],
    )


def test_the_point_of_the_best_f1(points):
    assert best_f1(points) == points[2]
    assert best_f1(points[:1]) is None and best_f1([]) is None


def test_the_point_of_a_precision_has_the_most_objects(points):
    assert at_precision(points, 0.5) == points[2]
    assert at_precision(points, 0.4) == points[2]  # Of equal recall the more precise.
    assert at_precision(points, 0.6) is None
    assert at_precision(points[:1], 0.0) is None


def test_without_objects_there_is_no_recall():
    (point,) = operating_points(FOUND, JUDGED, 0, num_objects=0)
    assert np.isnan(point.recall) and point.precision == 0


def test_detections_by_their_scores():
    bins = reliability(FOUND, JUDGED, num_bins=5)
    assert [b.number for b in bins] == [0, 3, 0, 2, 1]
    assert (bins[1].low, bins[1].high) == (0.2, 0.4)
    assert bins[1].score == pytest.approx(0.8 / 3)
    assert bins[1].right == pytest.approx(1 / 3)
    assert np.isnan(bins[0].score)
    # |0.8/3 - 1/3| * 3, |0.65 - 0.5| * 2, |0.99 - 0| * 1, over six.
    assert calibration_error(bins) == pytest.approx((0.2 + 0.3 + 0.99) / 6)
    assert np.isnan(calibration_error(bins[:1]))


def test_a_score_of_one_lies_in_the_last_interval():
    sure = FOUND._replace(scores=np.ones(7))
    assert reliability(sure, JUDGED)[-1].number == 6
