import pytest

from tests.evaluation.test_voc import SQUARE, found, objects
from tf_frcnn.evaluation import judge_voc
from tf_frcnn.evaluation.false_alarms import KINDS, false_alarms

FAR = [100, 100, 110, 110]
BESIDE = [0, 0, 10, 3]  # IoU 0.3 with the square


def kinds(truth, detections, num_classes=2, iou=0.5):
    judged = judge_voc(truth, detections, num_classes, iou_threshold=iou)
    return false_alarms(truth, detections, judged, num_classes, iou)


@pytest.mark.parametrize(
    "kind, box, label",
    [
        ("duplicate", [0, 0, 10, 9], 0),
        ("class", [0, 0, 10, 9], 1),
        ("box", BESIDE, 0),
        ("class_and_box", BESIDE, 1),
        ("background", [0, 0, 10, 0.9], 0),
        ("background", FAR, 1),
    ],
)
def test_each_kind_beside_a_right_detection(kind, box, label):
    truth = objects((3, FAR, 1, False), (0, SQUARE, 0, False))
    found_here = found((0, SQUARE, 0.9, 0), (0, box, 0.8, label))
    result = kinds(truth, found_here)
    assert result.kinds.tolist() == ["", kind]
    assert result.objects.tolist() == [-1, -1 if kind == "background" else 1]
    assert kind in KINDS


def test_what_does_not_count_is_no_false_alarm():
    truth = objects((0, SQUARE, 0, True, False), (0, FAR, 0, False, True))
    detections = found((0, SQUARE, 0.9, 0), (0, [101, 101, 104, 104], 0.8, 0))
    assert kinds(truth, detections).kinds.tolist() == ["", ""]


def test_a_class_is_confused_before_a_box_is_off():
    # As much beside one of its class as on one of another.
    truth = objects((0, SQUARE, 0, False), (0, [0, 5, 10, 15], 1, False))
    result = kinds(truth, found((0, [0, 5, 10, 15], 0.9, 0)))
    assert result.kinds.tolist() == ["class"] and result.objects.tolist() == [1]


def test_the_threshold_is_the_evaluations():
    truth = objects((0, SQUARE, 0, False))
    detections = found((0, [0, 0, 10, 6], 0.9, 0))
    assert kinds(truth, detections, iou=0.5).kinds.tolist() == [""]
    assert kinds(truth, detections, iou=0.75).kinds.tolist() == ["box"]


def test_without_detections_or_objects():
    truth, square = objects((0, SQUARE, 0, False)), found((0, SQUARE, 0.9, 0))
    nothing = type(square)(*(column[:0] for column in square))
    assert len(kinds(truth, nothing).kinds) == 0
    no_objects = truth._replace(
        **{n: v[:0] for n, v in truth._asdict().items() if n != "crowd"}
    )
    assert kinds(no_objects, square).kinds.tolist() == ["background"]
