import unicodedata

import pytest

from tf_frcnn.data.readers.split_lists import finder, listed_ids

IDS = {
    "a",
    "b.c",
    "cat 1",
    "photo 1",
    "batch1/f0",
    "batch2/f1",
    "x/same",
    "y/same",
    "é",
}


@pytest.fixture
def ids_of(tmp_path):
    def read(*lines):
        path = tmp_path / "train.txt"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return list(listed_ids(path, finder(IDS)))

    return read


@pytest.mark.parametrize(
    ("line", "image_id"),
    [
        ("a", "a"),
        ("a.jpg", "a"),
        ("a.XML", "a"),
        ("b.c", "b.c"),
        ("b.c.png", "b.c"),
        ("JPEGImages/a.jpg", "a"),
        ("/home/me/data/JPEGImages/a.jpg", "a"),
        ("data\\JPEGImages\\a.jpg", "a"),
        ("./a.jpg", "a"),
        ('"a.jpg"', "a"),
        ("'cat 1'", "cat 1"),
        ("cat 1.jpg", "cat 1"),
        ("batch1/f0", "batch1/f0"),
        ("data/JPEGImages/batch1/f0.jpg", "batch1/f0"),
        ("f1.jpg", "batch2/f1"),  # No other image has this name.
        (unicodedata.normalize("NFD", "é.jpg"), "é"),
    ],
)
def test_an_image_is_found_as_it_is_written(ids_of, line, image_id):
    assert ids_of(f"  {line}  ") == [(image_id, True)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a 1", ("a", True)),
        ("a.jpg  0", ("a", True)),
        ("a -1", ("a", False)),
        ("a.jpg\t1", ("a", True)),
        ("a.jpg,1", ("a", True)),
        ("a.jpg;0.5; 3", ("a", True)),
        ("cat 1.jpg 1", ("cat 1", True)),
        ('"cat 1.jpg" -1', ("cat 1", False)),
        ("photo 1", ("photo 1", True)),
        ("photo 1 -1", ("photo 1", False)),
        ("JPEGImages/a.jpg Annotations/a.xml", ("a", True)),
    ],
)
def test_columns_behind_the_name_are_no_part_of_it(ids_of, line, expected):
    assert ids_of(line) == [expected]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("000001 -1", ("000001", False)),
        ("000002  1", ("000002", True)),
        ("my cat", ("my cat", True)),
        ("my cat 7", ("my cat 7", True)),
        ("same", ("same", True)),  # Of which image?
        ("batch2/f0", ("batch2/f0", True)),
        ("a cat", ("a cat", True)),
        ("a.b", ("a.b", True)),
    ],
)
def test_what_no_image_is_called_stays_as_it_is_written(ids_of, line, expected):
    assert ids_of(line) == [expected]


def test_empty_lines_are_left_out(ids_of):
    assert ids_of("", "a", "   ", "") == [("a", True)]
