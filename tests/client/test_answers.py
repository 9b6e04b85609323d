import numpy as np
import pytest

from tf_frcnn.client.answers import read_answer
from tf_frcnn.client.errors import ServerError

GOOD = {
    "detection_boxes": [[0.0, 0.25, 0.5, 1.0], [0.5, 0.5, 1, 1], [0, 0, 0, 0]],
    "detection_scores": [0.9, 0.5, 0.0],
    "detection_classes": [3.0, 1.0, 0.0],
    "detection_class_names": ["größte", "a", ""],
    "num_detections": 2.0,
}


@pytest.mark.parametrize("form", ["json", "arrays"])
def test_padded_rows_are_left_out_and_the_first_label_is_0(form):
    outputs = GOOD
    if form == "arrays":
        names = np.array([n.encode() for n in GOOD["detection_class_names"]], object)
        outputs = {
            name: np.array(value, np.float32)
            for name, value in GOOD.items()
            if "names" not in name
        }
        outputs["detection_class_names"] = names
    answer = read_answer(outputs, "here")
    np.testing.assert_array_equal(answer.boxes, [[0, 0.25, 0.5, 1], [0.5, 0.5, 1, 1]])
    np.testing.assert_allclose(answer.scores, [0.9, 0.5])
    np.testing.assert_array_equal(answer.labels, [2, 0])
    assert answer.names == ("größte", "a")


def test_an_image_without_detections_has_an_empty_answer():
    answer = read_answer(GOOD | {"num_detections": 0.0}, "here")
    assert answer.boxes.shape == (0, 4) and answer.names == ()


def test_numbers_in_padded_rows_do_not_matter():
    boxes = [*GOOD["detection_boxes"][:2], [np.nan] * 4]
    answer = read_answer(GOOD | {"detection_boxes": boxes}, "here")
    assert np.isfinite(answer.boxes).all()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("num_detections", 4.0),
        ("num_detections", -1.0),
        ("num_detections", float("nan")),
        ("num_detections", float("inf")),
        ("num_detections", None),
        ("num_detections", [2.0, 1.0]),
        ("detection_boxes", [[0, 0, 1], [0, 0, 1]]),
        ("detection_boxes", [[0, 0, 1, 1], [0, 0, 1]]),
        ("detection_boxes", [[0, 0, 1, float("nan")], [0, 0, 1, 1]]),
        ("detection_boxes", "text"),
        ("detection_scores", [0.5, float("inf")]),
        ("detection_scores", [0.5, None]),
        ("detection_scores", 0.5),
        ("detection_scores", [1.5, 0.5]),
        ("detection_scores", [0.5, -0.1]),
        ("detection_boxes", [[0, 0, 1, 101], [0, 0, 1, 1]]),
        ("detection_boxes", [[-1e30, 0, 1, 1], [0, 0, 1, 1]]),
        ("detection_classes", [0.0, 1.0]),
        ("detection_classes", [1.5, 1.0]),
        ("detection_classes", [1e30, 1.0]),
        ("detection_class_names", ["a"]),
        ("detection_class_names", 3),
    ],
)
def test_outputs_that_make_no_sense_are_an_error(name, value):
    with pytest.raises(ServerError, match=r"^here: the answer is malformed: "):
        read_answer(GOOD | {name: value}, "here")


@pytest.mark.parametrize("outputs", [[1.0, 2.0], 3, None, {"scores": [1.0]}])
def test_another_models_outputs_are_an_error(outputs):
    message = "^here: the answer lacks detection_boxes, .*; tf-frcnn did not"
    with pytest.raises(ServerError, match=message):
        read_answer(outputs, "here")


def test_what_lacks_is_named():
    outputs = {k: v for k, v in GOOD.items() if k != "detection_class_names"}
    with pytest.raises(ServerError, match="lacks detection_class_names;"):
        read_answer(outputs, "here")


def test_names_cannot_command_a_terminal():
    answer = read_answer(
        GOOD | {"detection_class_names": ["a\x1b[2J\nb", "\u202ec", ""]}, "here"
    )
    assert answer.names == ("a [2J b", "c")
