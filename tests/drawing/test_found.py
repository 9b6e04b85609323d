import numpy as np

from tf_frcnn.drawing.boxes import class_color
from tf_frcnn.drawing.found import draw
from tf_frcnn.models.detecting import Found

PICTURE = np.zeros([120, 160, 3], np.uint8)
FOUND = Found(
    names=("b", "d"),
    scores=np.array([0.9, 0.4], np.float32),
    boxes=np.array([[10, 20, 60, 100], [70, 10, 110, 50]], np.float32),
    labels=np.array([1, 3], np.int32),
    size=(120, 160),
)


def colors_in(image):
    return {*map(tuple, np.asarray(image).reshape(-1, 3).tolist())}


def test_detections_are_drawn_in_the_colours_of_their_labels():
    colors = colors_in(draw(PICTURE, FOUND, min_score=0.1))
    assert {class_color(1), class_color(3)} <= colors


def test_those_below_the_score_are_not_drawn():
    colors = colors_in(draw(PICTURE, FOUND))
    assert class_color(1) in colors and class_color(3) not in colors


def test_nothing_found_leaves_the_picture_as_it_is():
    nothing = Found((), np.zeros(0), np.zeros([0, 4]), np.zeros(0, int), (120, 160))
    np.testing.assert_array_equal(np.asarray(draw(PICTURE, nothing)), PICTURE)
