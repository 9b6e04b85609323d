import numpy as np

from tests.evaluation.test_voc import HALF, SQUARE, found, objects
from tf_frcnn.evaluation.confusion import confusion_matrix

FAR = [100, 100, 110, 110]


def test_right_confused_missed_and_of_nothing():
    truth = objects(
        (0, SQUARE, 0, False),
        (0, FAR, 1, False),
        (1, SQUARE, 1, False),
        (2, SQUARE, 0, False),
    )
    detections = found(
        (0, SQUARE, 0.9, 0), (0, FAR, 0.8, 0), (1, FAR, 0.7, 1), (3, SQUARE, 0.6, 0)
    )
    matrix = confusion_matrix(truth, detections, 2)
    assert matrix.tolist() == [[1, 0, 1], [1, 0, 1], [1, 1, 0]]


def test_the_best_detection_takes_the_object_and_a_second_one_has_none():
    truth = objects((0, SQUARE, 1, False))
    detections = found((0, SQUARE, 0.5, 1), (0, HALF, 0.9, 0))
    matrix = confusion_matrix(truth, detections, 2)
    assert matrix[1, 0] == 1 and matrix[2, 1] == 1 and matrix.sum() == 2
    strict = confusion_matrix(truth, detections, 2, iou_threshold=0.6)
    assert strict[1, 1] == 1 and strict[2, 0] == 1


def test_difficult_objects_and_crowds_are_left_out_with_what_lies_on_them():
    truth = objects((0, SQUARE, 0, True, False), (0, FAR, 1, False, True))
    part = [101, 101, 104, 104]
    detections = found(
        (0, SQUARE, 0.9, 1), (0, SQUARE, 0.8, 0), (0, part, 0.7, 1), (0, part, 0.6, 1)
    )
    assert confusion_matrix(truth, detections, 2).sum() == 0


def test_without_detections_all_is_missed():
    truth = objects((0, SQUARE, 0, False), (5, SQUARE, 0, False))
    nothing = found((0, SQUARE, 0.9, 0))
    nothing = type(nothing)(*(np.asarray(column)[:0] for column in nothing))
    assert confusion_matrix(truth, nothing, 1).tolist() == [[0, 2], [0, 0]]
