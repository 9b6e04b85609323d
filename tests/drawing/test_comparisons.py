from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tf_frcnn.data import ExampleSet, Problems, make_shapes
from tf_frcnn.data.decoding.transforms import decode_image
from tf_frcnn.data.readers.images import read_images
from tf_frcnn.drawing.boxes import class_color, draw_boxes
from tf_frcnn.drawing.comparisons import ComparisonImages, load_images
from tf_frcnn.evaluation import DetectedBoxes

GREY = (120, 120, 120)
TURN_RIGHT = 6  # what a camera notes that was held upright


@pytest.fixture
def grey_files(tmp_path):
    """Grey images: one of 120 x 160 pixels and one stored lying of 160 x 120."""
    Image.new("RGB", (160, 120), GREY).save(tmp_path / "a.png")
    turned = Image.new("RGB", (160, 120), GREY)
    turned.paste((0, 0, 255), (0, 0, 20, 10))  # its upper left corner is blue
    turned.getexif()[274] = TURN_RIGHT
    turned.save(tmp_path / "b.png", exif=turned.getexif())
    return [tmp_path / "a.png", tmp_path / "b.png"]


@pytest.fixture
def annotated(grey_files):
    """One object on either image, in pixels of the upright ones."""
    facts = read_images(grey_files)
    boxes = ([[40, 20, 90, 80]], [[60, 10, 150, 100]])
    records = tuple(
        record._replace(
            image_id=name,
            boxes=np.array(box, np.float32),
            labels=np.array([label]),
            difficult=np.array([False]),
            crowd=np.array([False]),
        )
        for record, box, label, name in zip(
            facts.records, boxes, (0, 1), "ab", strict=True
        )
    )
    names = ("cat", "dog")
    return ExampleSet("grey", names, records, Problems(), facts.images)


def found(*rows):
    """Makes `DetectedBoxes` of (image, box, score, label)."""
    columns = zip(*rows, strict=True) if rows else ([], [], [], [])
    images, boxes, scores, labels = map(np.array, columns)
    return DetectedBoxes(
        images.astype(int), boxes.reshape(-1, 4), scores, labels.astype(int)
    )


def halves(image, width):
    """Returns what is left and right of the gap, below their captions."""
    return image[:, :width], image[:, -width:]


def colours_in(image):
    return {tuple(pixel) for pixel in image.reshape(-1, 3).tolist()}


def test_images_come_upright_in_stored_order(grey_files):
    examples = read_images(grey_files)
    first, second = load_images(examples, [1, 0])
    assert first.shape == (120, 160, 3) and second.shape == (160, 120, 3)
    # Turned to the right, the upper left corner becomes the upper right one.
    np.testing.assert_array_equal(second[:20, -10:], np.full([20, 10, 3], [0, 0, 255]))
    assert (second[:, :110] == GREY).all()


def test_only_the_images_asked_for_are_loaded():
    examples = make_shapes(4, seed=2)
    stored = dict(examples.stream().as_numpy_iterator())
    images = load_images(examples, [1, 3])
    for row, image in zip((1, 3), images, strict=True):
        np.testing.assert_array_equal(image, decode_image(stored[row], 1))


@pytest.mark.slow
def test_ground_truth_is_drawn_left_and_sure_predictions_right(annotated):
    images = ComparisonImages(annotated, 2)
    detections = found(
        (1, [10, 10, 50, 50], 0.9, 0),
        (0, [5, 5, 60, 60], 0.5, 1),
        (0, [50, 50, 110, 150], 0.49, 0),
    )
    (first_id, first), (second_id, second) = images.drawn(detections)
    assert (first_id, second_id) == ("a", "b")
    cat, dog = class_color(0), class_color(1)
    left, right = halves(first, 160)
    assert cat in colours_in(left) and dog not in colours_in(left)
    assert dog in colours_in(right) and cat not in colours_in(right)
    # The frame of the prediction, at column 5 from row 5 on, under the captions.
    band = first.shape[0] - 120
    assert (right[band + 30 : band + 59, 5] == dog).all()
    left, right = halves(second, 120)
    assert dog in colours_in(left) and cat not in colours_in(left)
    assert cat in colours_in(right) and dog not in colours_in(right)
    band = second.shape[0] - 160
    assert (left[band + 80 : band + 149, 10] == dog).all()


def test_the_least_score_may_be_another(annotated):
    images = ComparisonImages(annotated, 1, min_score=0.2)
    ((_, drawn),) = images.drawn(found((0, [50, 50, 110, 150], 0.3, 1)))
    _, right = halves(drawn, 160)
    assert class_color(1) in colours_in(right)


def test_without_predictions_the_right_side_is_the_image(annotated):
    ((_, drawn),) = ComparisonImages(annotated, 1).drawn(found())
    _, right = halves(drawn, 160)
    assert (right[-120:] == GREY).all()


@pytest.mark.parametrize(("count", "drawn"), [(0, 0), (1, 1), (2, 2), (9, 2)])
def test_no_more_images_are_drawn_than_asked_for_or_there(annotated, count, drawn):
    images = ComparisonImages(annotated, count)
    names = [name for name, _ in images.drawn(found((0, [5, 5, 60, 60], 0.9, 1)))]
    assert names == ["a", "b"][:drawn]


def test_an_id_with_folders_becomes_the_name_of_one_file(annotated):
    records = tuple(r._replace(image_id=f"x/{r.image_id}") for r in annotated.records)
    drawings = ComparisonImages(replace(annotated, records=records), 2)
    assert [name for name, _ in drawings.drawn(found())] == ["x_a", "x_b"]


def test_a_crowd_is_named_so(annotated):
    (plain,) = (drawn for _, drawn in ComparisonImages(annotated, 1).drawn(found()))
    records = tuple(r._replace(crowd=np.array([True])) for r in annotated.records)
    crowds = ComparisonImages(replace(annotated, records=records), 1)
    (drawn,) = (drawn for _, drawn in crowds.drawn(found()))
    expected = draw_boxes(
        crowds.images[0], annotated.records[0].boxes, [0], ("cat (crowd)", "dog")
    )
    left, _ = halves(drawn, 160)
    np.testing.assert_array_equal(left[-120:], expected)
    assert np.any(drawn != plain)
