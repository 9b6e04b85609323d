import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tf_frcnn.drawing.boxes import (
    Rectangle,
    class_color,
    draw_boxes,
    place_label,
    side_by_side,
    write_jpeg,
    write_png,
)

NAMES = ("cat", "dog", "horse")


def grey(height, width):
    return np.full([height, width, 3], 127, np.uint8)


def changed(drawn):
    """Returns the rows and columns of the pixels that are no longer grey."""
    return np.nonzero((drawn != 127).any(axis=-1))


def is_color(pixels, label):
    return (pixels == class_color(label)).all(axis=-1)


def test_the_border_of_a_box_has_the_colour_of_its_class_and_its_inside_is_untouched():
    # 300 pixels: lines of one pixel. Columns 20..79 and rows 100..149 are the box.
    drawn = draw_boxes(grey(200, 300), [[100, 20, 150, 80]], [1], NAMES)
    assert is_color(drawn[149, 20:80], 1).all()
    assert is_color(drawn[100:150, 20], 1).all()
    assert is_color(drawn[100:150, 79], 1).all()
    assert (drawn[101:149, 21:79] == 127).all()
    assert (drawn[150:] == 127).all()
    assert (drawn[:, 80:] == 127).all()
    assert (drawn[:, :20] == 127).all()


def test_the_name_stands_above_its_box_on_the_colour_of_the_class():
    drawn = draw_boxes(grey(200, 300), [[100, 20, 150, 80]], [1], NAMES)
    rows, columns = changed(drawn[:100])
    label = drawn[rows.min() : 100, 20 : columns.max() + 1]
    assert 9 <= 100 - rows.min() <= 20
    assert is_color(label, 1).mean() > 0.5
    letters = ~is_color(label, 1)
    assert letters.any()
    assert not letters[:, 0].any()
    assert not letters[:, -1].any()


@pytest.mark.parametrize("label", range(12))
def test_letters_contrast_with_the_colour_behind_them(label):
    names = ["HHH"] * 12
    drawn = draw_boxes(grey(200, 300), [[100, 20, 150, 80]], [label], names)
    rows, columns = changed(drawn[:100])
    text = drawn[rows.min() : 100, 20 : columns.max() + 1].astype(float)
    luminance = text @ [0.299, 0.587, 0.114]
    background = np.dot(class_color(label), [0.299, 0.587, 0.114])
    assert abs(luminance - background).max() > 100


def test_the_original_is_not_changed_and_nothing_is_drawn_without_boxes():
    image = grey(100, 100)
    drawn = draw_boxes(image, [[10, 10, 90, 90]], [0], NAMES)
    assert (image == 127).all()
    assert (drawn != 127).any()
    none = draw_boxes(image, np.zeros([0, 4]), [], NAMES)
    np.testing.assert_array_equal(none, image)


def test_padded_rows_are_left_out():
    boxes = [[40, 10, 90, 90], [0, 0, 0, 0], [50, 50, 60, 60]]
    padded = draw_boxes(grey(100, 100), boxes, [0, -1, -1], NAMES, scores=[0.9, 0, 0])
    alone = draw_boxes(grey(100, 100), boxes[:1], [0], NAMES, scores=[0.9])
    np.testing.assert_array_equal(padded, alone)


def test_the_score_makes_the_label_longer():
    boxes, labels = [[50, 10, 90, 20]], [0]
    plain = changed(draw_boxes(grey(100, 100), boxes, labels, NAMES))[1].max()
    scored = draw_boxes(grey(100, 100), boxes, labels, NAMES, scores=[0.5])
    assert changed(scored)[1].max() > plain + 10


def test_the_better_of_two_boxes_lies_on_top():
    boxes = [[50, 10, 90, 90], [50, 10, 90, 90]]
    for scores, top in [((0.9, 0.1), 0), ((0.1, 0.9), 1)]:
        drawn = draw_boxes(grey(100, 100), boxes, [0, 1], NAMES, scores=scores)
        assert is_color(drawn[70:89, 10], top).all()


def test_a_box_beyond_the_image_is_drawn_on_its_border():
    drawn = draw_boxes(grey(100, 120), [[-50, -10, 300, 500]], [2], NAMES)
    assert is_color(drawn[99], 2).all()
    assert is_color(drawn[50:, 0], 2).all()
    assert is_color(drawn[50:, 119], 2).all()


@pytest.mark.parametrize(
    "box", [[30, 30, 30, 30], [60, 60, 40, 40], [200, 200, 210, 210]]
)
def test_a_box_without_pixels_still_shows_a_dot(box):
    drawn = draw_boxes(grey(100, 100), [box], [0], NAMES)
    y, x = min(box[0], 99), min(box[1], 99)
    assert is_color(drawn[y, x], 0)


@pytest.mark.parametrize(("side", "line"), [(100, 1), (900, 3), (3000, 10)])
def test_lines_and_letters_grow_with_the_image(side, line):
    box = np.array([[0.5, 0.1, 0.9, 0.9]]) * side
    drawn = draw_boxes(grey(side, side), box, [0], NAMES)
    row = is_color(drawn[int(0.8 * side)], 0)
    assert row.sum() == 2 * line
    rows, _ = changed(drawn[: side // 2])
    assert max(10, side / 45) <= side // 2 - rows.min() <= max(15, side / 30)


@pytest.mark.parametrize("letter", "HWim|")
def test_a_name_too_long_for_the_image_is_shortened(letter):
    drawn = draw_boxes(grey(60, 60), [[30, 10, 50, 50]], [0], [letter * 80])
    rows, columns = changed(drawn[:30])
    label = drawn[rows.min() : 30, columns.min() : columns.max() + 1]
    letters = ~is_color(label, 0)
    assert label.shape[1] > 30
    assert letters.any()
    assert not letters[:, 0].any()
    assert not letters[:, -1].any()


def test_the_names_of_two_equal_boxes_are_both_to_be_seen():
    boxes = [[50, 10, 90, 90], [50, 10, 90, 90]]
    drawn = draw_boxes(grey(100, 100), boxes, [0, 1], NAMES, scores=[0.9, 0.8])
    assert is_color(drawn[:50], 0).sum() > 100
    assert is_color(drawn[51:89, 11:89], 1).sum() > 100


sizes = st.tuples(st.integers(1, 60), st.integers(1, 60))


@given(sizes, st.lists(st.integers(-20, 120), min_size=4, max_size=4))
def test_a_label_keeps_its_size_and_stays_within_the_image(size, edges):
    place = place_label(size, Rectangle(*edges), [], (80, 70))
    assert (place.bottom - place.top, place.right - place.left) == size
    assert place.top >= 0
    assert place.left >= 0
    assert place.bottom <= 80
    assert place.right <= 70


def test_a_label_stands_above_its_box_if_it_can_else_inside():
    size, image = (10, 30), (100, 100)
    above = place_label(size, Rectangle(40, 20, 80, 90), [], image)
    assert above == Rectangle(30, 20, 40, 50)
    inside = place_label(size, Rectangle(0, 20, 80, 90), [], image)
    assert inside == Rectangle(0, 20, 10, 50)
    at_the_right = place_label(size, Rectangle(40, 90, 80, 99), [], image)
    assert at_the_right == Rectangle(30, 70, 40, 100)


def test_labels_of_equal_boxes_avoid_each_other():
    frame, taken = Rectangle(40, 10, 80, 90), []
    for _ in range(8):  # four places at the left corners, four at the right ones
        taken.append(place_label((10, 30), frame, taken, (100, 100)))
    for one, other in itertools.combinations(taken, 2):
        apart = (
            one.bottom <= other.top
            or other.bottom <= one.top
            or one.right <= other.left
            or other.right <= one.left
        )
        assert apart, (one, other)


def test_colours_of_classes_are_stable_and_easy_to_tell_apart():
    colors = np.array([class_color(label) for label in range(20)], float)
    assert class_color(0) == (255, 0, 0)
    distances = [np.linalg.norm(a - b) for a, b in itertools.combinations(colors, 2)]
    assert min(distances) > 60
    assert len({class_color(label) for label in range(90)}) == 90


def test_two_images_stand_under_their_captions():
    left, right = (
        np.full([40, 60, 3], 10, np.uint8),
        np.full([50, 70, 3], 200, np.uint8),
    )
    both = side_by_side(left, right, captions=("truth", "found"))
    band, gap = both.shape[0] - 50, both.shape[1] - 130
    assert band >= 10
    np.testing.assert_array_equal(both[band : band + 40, :60], left)
    np.testing.assert_array_equal(both[band:, 60 + gap :], right)
    for start in (0, 60 + gap):
        assert (both[:band, start : start + 60] > 200).any()


def test_a_written_image_is_read_back_unchanged(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, [7, 9, 3], np.uint8)
    path = tmp_path / "new" / "folder" / "a.png"
    write_png(path, image)
    np.testing.assert_array_equal(np.asarray(Image.open(path)), image)


def test_a_jpeg_keeps_thin_lines_in_their_colour(tmp_path):
    image = np.full([32, 32, 3], 128, np.uint8)
    image[:, 15] = 255, 0, 0
    write_jpeg(tmp_path / "a.jpg", image)
    read = np.asarray(Image.open(tmp_path / "a.jpg")).astype(int)
    assert np.abs(read - image).max() < 40  # By 100 with colours of half resolution.


def test_wrong_arguments_are_named():
    box = [[1, 1, 5, 5]]
    with pytest.raises(
        ValueError, match=r"image is float32 \[9, 9, 3\]; it must be uint8"
    ):
        draw_boxes(np.zeros([9, 9, 3], np.float32), box, [0], NAMES)
    with pytest.raises(ValueError, match=r"image is uint8 \[9, 9\]; it must be"):
        draw_boxes(np.zeros([9, 9], np.uint8), box, [0], NAMES)
    with pytest.raises(ValueError, match=r"a label is 3, but there are 3 class names"):
        draw_boxes(grey(9, 9), box, [3], NAMES)
    with pytest.raises(ValueError, match=r"boxes must be finite"):
        draw_boxes(grey(9, 9), [[0, 0, np.nan, 1]], [0], NAMES)
