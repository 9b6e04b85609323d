import numpy as np
import pytest

from tf_frcnn.data.checks.boxes import DrawnObject
from tf_frcnn.data.checks.images import ImageFacts
from tf_frcnn.data.checks.problems import DataError, Problems
from tf_frcnn.data.readers.described import (
    DescribedImage,
    WrittenImage,
    check_described,
    distinct_ids,
    find_described,
    read_described,
)

CAT = DrawnObject("cat", (10.0, 20.0, 30.0, 60.0), False)
DOG = DrawnObject("dog", (0.0, 0.0, 5.0, 5.0), True)
NAMES = ("cat", "dog")


def described(path, *objects, size=None, image_id=None):
    return DescribedImage(path, image_id or path.stem, path.name, [*objects], size)


def test_records_come_in_order_with_their_bytes(write_image, tmp_path):
    paths = [write_image(tmp_path / f"{n}.png", seed=n) for n in (2, 1)]
    problems = Problems()
    examples = read_described(
        "set",
        [described(paths[0], CAT, DOG), described(paths[1])],
        NAMES,
        problems,
        "x",
    )
    first, second = examples.records
    np.testing.assert_array_equal(first.boxes, [[10, 20, 30, 60], [0, 0, 5, 5]])
    np.testing.assert_array_equal(first.labels, [0, 1])
    np.testing.assert_array_equal(first.difficult, [False, True])
    assert first[:5] == ("2", str(paths[0]), 40, 80, 1)
    assert second.image_id == "1" and second.boxes.shape == (0, 4)
    streamed = [data for _, data in examples.stream().as_numpy_iterator()]
    assert streamed == [path.read_bytes() for path in paths]
    (row,) = problems.rows
    assert (row.kind, row.detail) == ("empty_annotation", "it has no object")


def test_shares_become_pixels_before_they_are_judged(write_image, tmp_path):
    path = write_image(tmp_path / "a.png")
    shares = DrawnObject("cat", (0.25, 0.25, 0.75, 1.5), False)
    problems = Problems()
    examples = read_described(
        "set", [described(path, shares)], NAMES, problems, "x", as_shares=True
    )
    np.testing.assert_array_equal(examples.records[0].boxes, [[10, 20, 30, 80]])
    assert "xmax 120, ymax 30; the image has 80 x 40" in problems.rows[0].detail


def test_boxes_follow_an_image_that_was_resized(write_image, tmp_path):
    image = described(write_image(tmp_path / "a.png"), CAT, size=(80, 160))
    examples = read_described("set", [image], NAMES, Problems(), "x")
    np.testing.assert_array_equal(examples.records[0].boxes, [[5, 10, 15, 30]])


def test_an_image_of_a_wrong_size_is_dropped(write_image, tmp_path):
    right = described(write_image(tmp_path / "b.png"), CAT)
    wrong = described(write_image(tmp_path / "a.png"), CAT, size=(40, 41))
    examples = read_described("set", [wrong, right], NAMES, Problems(), "x")
    assert [record.image_id for record in examples.records] == ["b"]
    assert examples.problems.counts() == {"wrong_size": 1}


def test_an_image_described_twice_has_all_objects_once(write_image, tmp_path):
    path = write_image(tmp_path / "a.png")
    twice = [described(path, CAT), described(path, CAT, DOG)]
    examples = read_described("set", twice, NAMES, Problems(), "x")
    np.testing.assert_array_equal(examples.records[0].labels, [0, 1])
    assert examples.problems.counts() == {"repeated_image": 1}


def test_shares_for_pixels_are_refused(write_image, tmp_path):
    path = write_image(tmp_path / "a.png")
    tiny = DrawnObject("cat", (0.2, 0.1, 0.5, 1.0), False)
    with pytest.raises(DataError, match=r"set: all corners lie in 0\.\.1"):
        read_described("set", [described(path, tiny)], NAMES, Problems(), "x")
    examples = read_described(
        "set", [described(path, tiny, CAT)], NAMES, Problems(), "x"
    )
    assert len(examples.records[0].boxes) == 2


def test_without_a_usable_image_the_first_reasons_are_given(tmp_path):
    for name in "abcd":
        (tmp_path / f"{name}.png").write_bytes(b"no image")
    images = [described(tmp_path / f"{name}.png", CAT) for name in "abcd"]
    with pytest.raises(DataError) as error:
        read_described("set", images, NAMES, Problems(), "x")
    text = str(error.value)
    assert text.startswith(
        "set has no image that can be used: unreadable_image 4. a.png: it is not "
        "an image of a known format; b.png"
    )
    assert "c.png" in text and "d.png" not in text


def test_whole_pixels_from_one_become_continuous():
    problems = Problems()
    checked = check_described(
        [CAT],
        None,
        ImageFacts(40, 80, 1),
        NAMES,
        problems,
        "a",
        as_shares=False,
        one_based=True,
    )
    np.testing.assert_array_equal(checked.boxes, [[9, 19, 30, 60]])


def test_a_turned_image_is_counted():
    problems = Problems()
    facts = ImageFacts(80, 40, 6)
    check_described([DOG], (80, 40), facts, NAMES, problems, "a", as_shares=False)
    assert problems.counts() == {"wrong_size": 1, "rotated_image": 1}


def test_equal_ids_get_the_folders_that_tell_them_apart(tmp_path):
    names = ["train/a.png", "val/a.png", "val/b.png", "x/y/c.png", "z/y/c.png"]
    names += ["e/f.png", "e/f.jpg"]
    images = distinct_ids([described(tmp_path / name) for name in names])
    assert [image.image_id for image in images] == [
        *("train/a", "val/a", "b", "x/y/c", "z/y/c", "f.png", "f.jpg")
    ]


def test_written_images_are_found_and_named(write_image, tmp_path):
    path = write_image(tmp_path / "images" / "sub" / "a.png")
    written = [
        WrittenImage("sub/a.png", (40, 80), [CAT]),
        WrittenImage("b.png", None, []),
    ]
    problems = Problems()
    found = find_described(written, [tmp_path / "images"], problems, "t.json")
    expected = DescribedImage(path, "sub/a", "t.json: sub/a.png", [CAT], (40, 80))
    assert found == [expected]
    assert problems.files("missing_image") == ["b.png"]
