import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tf_frcnn.data.decoding.pictures import ImageError
from tf_frcnn.data.decoding.resizing import Resizing
from tf_frcnn.models.detecting import (
    CanvasGroups,
    detect_in_pictures,
    found_of,
    run_batches,
)

RESIZING = Resizing((32,), 64, ((32, 64), (64, 32)))


def picture(height, width, red):
    image = np.zeros([height, width, 3], np.uint8)
    image[..., 0], image[:2] = red, 255
    return image


class Detector:
    """Finds the whole of each picture, its brightest red as label; notes batches."""

    def __init__(self):
        self.shapes = []

    def __call__(self, batch):
        images, sizes = batch["images"].numpy(), batch["file_sizes"].numpy()
        self.shapes.append(images.shape)
        zeros = np.zeros([len(images), 2])
        boxes = np.stack([np.concatenate([zeros, sizes], 1), np.ones([len(images), 4])])
        return {
            "boxes": boxes.transpose(1, 0, 2).astype(np.float32),
            "scores": np.tile(np.float32([0.9, 0.1]), [len(images), 1]),
            "labels": np.stack([images[:, 20, 20, 0], zeros[:, 0]], 1).astype(np.int32),
            "valid": np.tile([True, False], [len(images), 1]),
        }


NAMES = [f"red {n}" for n in range(256)]


def detect(pictures, batch_size=2, resizing=RESIZING):
    detector = Detector()
    found = detect_in_pictures(detector, pictures, resizing, NAMES, batch_size)
    return found, detector.shapes


LYING, UPRIGHT = picture(32, 50, 7), picture(60, 32, 9)


def test_results_are_in_the_order_of_the_pictures_whatever_their_canvas():
    pictures = [LYING, UPRIGHT, UPRIGHT, LYING, LYING]
    found, shapes = detect(pictures)
    assert [f.names for f in found] == [(f"red {n}",) for n in (7, 9, 9, 7, 7)]
    assert [f.size for f in found] == [(32, 50), (60, 32), (60, 32), (32, 50), (32, 50)]
    assert shapes == [(2, 64, 32, 3), (2, 32, 64, 3), (1, 32, 64, 3)]
    for own in found:
        np.testing.assert_array_equal(own.boxes, [[0, 0, *own.size]])
        assert own.scores.tolist() == [np.float32(0.9)]
        assert own.labels.dtype == np.int32


def test_where_all_rows_are_taken_more_may_have_been_there():
    rows = {"scores": np.array([0.9, 0.4]), "labels": np.array([1, 2])}
    rows |= {"boxes": np.zeros([2, 4]), "valid": np.array([True, True])}
    assert found_of(rows, np.array([3, 4]), NAMES).cut_below == 0.4
    some = rows | {"valid": np.array([True, False])}
    assert found_of(some, np.array([3, 4]), NAMES).cut_below is None
    # Tiles say it of themselves.
    told = found_of(some | {"cut_below": np.float32(0.25)}, np.array([3, 4]), NAMES)
    assert told.cut_below == 0.25 and told.names == ("red 1",)


@pytest.mark.parametrize("batch_size", [1, 3, 9])
def test_the_size_of_batches_does_not_matter(batch_size):
    pictures = [LYING, UPRIGHT] * 3
    found, shapes = detect(pictures, batch_size)
    assert [f.labels.tolist() for f in found] == [[7], [9]] * 3
    assert max(shape[0] for shape in shapes) == min(batch_size, 3)


def test_each_picture_has_its_own_canvas_where_sides_are_padded():
    pictures = [picture(32, 41, 1), picture(32, 47, 2), picture(32, 50, 3)]
    found, shapes = detect(pictures, resizing=Resizing((32,), None, 8))
    assert shapes == [(2, 32, 48, 3), (1, 32, 56, 3)]
    assert [f.labels.tolist() for f in found] == [[1], [2], [3]]


def encoded(image, image_format="PNG", **options):
    file = io.BytesIO()
    Image.fromarray(image).save(file, image_format, **options)
    return file.getvalue()


@pytest.mark.slow
def test_all_kinds_of_pictures_may_be_mixed(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(encoded(LYING))
    exif = Image.Exif()
    exif[274] = 6  # stored on its side
    turned = encoded(np.rot90(LYING), exif=exif)
    grey = np.full([32, 50], 5, np.uint8)
    pictures = [
        *(path, str(path), path.read_bytes(), bytearray(path.read_bytes())),
        *(LYING, LYING.astype(np.float64), tf.constant(LYING), Image.fromarray(LYING)),
        *(np.dstack([LYING, grey]), turned, Image.open(io.BytesIO(turned))),
        *(tf.constant(path.read_bytes()), grey, grey[..., np.newaxis]),
    ]
    found, _ = detect(pictures, batch_size=4)
    assert [f.names for f in found] == [("red 7",)] * 12 + [("red 5",)] * 2
    assert {f.size for f in found} == {(32, 50)}


def test_a_faulty_picture_is_named_by_its_place(tmp_path):
    with pytest.raises(ImageError, match=r"images\[1\]: its values lie in 0..1"):
        detect([LYING, LYING / 255.0])
    with pytest.raises(FileNotFoundError, match=r"none.png: no such file"):
        detect([LYING, tmp_path / "none.png"])
    small = RESIZING._replace(canvases=((32, 40),))
    message = r"images\[1\]: it becomes 32 x 50 pixels .* images.canvases = \(\(32, 40"
    with pytest.raises(ImageError, match=message):
        detect([picture(32, 40, 1), LYING], resizing=small)


def groups_of(canvases, batch_size, most_waiting=None):
    """Returns the numbers in the groups that are yielded, and those that are left."""
    groups = CanvasGroups(batch_size, most_waiting)
    yielded = [
        [key for key, _ in members]
        for number, size in enumerate(canvases)
        for members in groups.add(number, {"images": tf.zeros([size, size, 3])})
    ]
    return yielded, [[key for key, _ in members] for members in groups.rest()]


def test_a_full_group_waits_no_longer():
    assert groups_of([1, 2, 1, 2, 2, 1], 2) == ([[0, 2], [1, 3]], [[4], [5]])


def test_of_many_that_wait_the_largest_group_goes():
    yielded, left = groups_of([1, 2, 2, 3, 4, 5], 9, most_waiting=4)
    assert (yielded, left) == ([[1, 2], [0]], [[3], [4], [5]])
    yielded, left = groups_of(range(1, 50), 9, most_waiting=4)
    assert len(yielded) == 46 and len(left) == 3


def test_no_pictures_give_no_results():
    assert detect([]) == ([], [])


@pytest.mark.slow
def test_the_method_takes_one_picture_and_a_stack_of_them(small_detector):
    model = small_detector()  # not compiled
    model.run_eagerly = True
    (one,) = model.detect(LYING)
    assert one.size == (32, 50) and len(one.names) == len(one.scores) > 0
    assert {*one.names} <= {*model.class_names}
    (same,) = model.detect(bytearray(encoded(LYING)))
    stack = model.detect(np.stack([LYING, LYING]))
    assert len(stack) == 2 and model.detect([]) == []
    for other in (
        same,
        *stack,
        *model.detect([LYING, LYING, UPRIGHT], batch_size=1)[:2],
    ):
        np.testing.assert_allclose(other.boxes, one.boxes, atol=1e-3)
        np.testing.assert_allclose(other.scores, one.scores, atol=1e-5)


def test_what_a_step_says_is_read_from_every_batch():
    numbers = tf.data.Dataset.range(5).batch(2).map(lambda n: {"rows": n, "images": n})
    found = [(b, out) for b, out in run_batches(lambda b: b["rows"] * 2, numbers)]
    assert [batch.keys() for batch, _ in found] == [{"rows"}] * 3
    assert [out.tolist() for _, out in found] == [[0, 2], [4, 6], [8]]
