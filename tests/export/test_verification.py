import numpy as np
import pytest

from tf_frcnn.evaluation import DetectedBoxes
from tf_frcnn.export.verification import ExportError, _compare, verify

pytestmark = pytest.mark.slow

OWN = DetectedBoxes(
    image_index=np.array([0]),
    boxes=np.float32([[1, 2, 30, 40]]),
    scores=np.float32([0.9]),
    labels=np.array([1]),
)


def output(**changed):
    return {
        "num_detections": np.float32(1),
        "detection_boxes": np.float32([[1, 2, 30, 40], [0, 0, 0, 0]]),
        "detection_scores": np.float32([0.9, 0]),
        "detection_classes": np.float32([2, 0]),
        "detection_class_names": np.array([b"tall", b""], object),
    } | changed


def test_small_errors_are_allowed():
    near = OWN.boxes[[0, 0]] + np.float32(0.49)
    scores = np.float32([0.9009, 0])
    changed = output(detection_boxes=near, detection_scores=scores)
    errors = _compare(OWN, changed, ("wide", "tall"), "x")
    np.testing.assert_allclose(errors, [0.49, 0.0009], rtol=1e-3)


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"num_detections": np.float32(2)}, "x: 2 detections instead of 1"),
        ({"detection_boxes": OWN.boxes[[0, 0]] + 0.51}, "x: boxes differ by 0.51"),
        ({"detection_boxes": OWN.boxes[[0, 0]] * np.nan}, "x: boxes differ by nan"),
        ({"detection_scores": np.float32([0.9011, 0])}, "scores by 0.0011"),
        ({"detection_classes": np.float32([1, 0])}, "x: the classes are"),
        ({"detection_class_names": np.array([b"wide", b""])}, r"\['wide'\] instead"),
    ],
)
def test_an_output_that_differs_is_an_error(changed, what):
    with pytest.raises(ExportError, match=what):
        _compare(OWN, output(**changed), ("wide", "tall"), "x")


def test_classes_without_names_are_compared_as_numbers():
    numbered = output()
    del numbered["detection_class_names"]
    _compare(OWN, numbered, ("wide", "tall"), "x")
    numbered["detection_classes"] = np.float32([1, 0])
    with pytest.raises(
        ExportError, match=r"x: the classes are \[1.0\] instead of \[2\]"
    ):
        _compare(OWN, numbered, ("wide", "tall"), "x")


def test_a_note_says_that_there_was_nothing_to_compare(
    exported, strict_model, resizing, images, capsys
):
    verify(exported, strict_model, resizing, images, [])
    assert capsys.readouterr().out.startswith(
        "Note: none of the sample images (3) has a detection above the score "
        "threshold 0.999, so that boxes and scores could not be compared"
    )


def test_nothing_is_said_where_detections_were_compared(
    exported, model, resizing, images, capsys
):
    verify(exported, model, resizing, images, [])
    assert capsys.readouterr().out == ""
