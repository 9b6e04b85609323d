import pytest

from tf_frcnn.data.checks.listing import Listing
from tf_frcnn.data.checks.problems import Problems
from tf_frcnn.data.readers.voc_layout import (
    Place,
    is_split_name,
    places_in,
    same_split,
)


def places(root, *files):
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("")
    return places_in(root, Listing(root, Problems()))


@pytest.mark.parametrize(
    ("images", "annotations"),
    [
        ("JPEGImages", "Annotations"),
        ("images", "annotations"),
        ("Images", "Annotation"),
        ("imgs", "xml"),
    ],
)
def test_folders_are_known_by_the_names_that_tools_give_them(
    tmp_path, images, annotations
):
    found = places(tmp_path, f"{images}/a.jpg", f"{annotations}/a.xml")
    assert found == [Place("", tmp_path / images, tmp_path / annotations)]


def test_files_may_lie_side_by_side(tmp_path):
    found = places(tmp_path, "a.jpg", "a.XML")
    assert found == [Place("", tmp_path, tmp_path, below=False)]


def test_files_may_lie_side_by_side_in_the_folder_of_images(tmp_path):
    found = places(tmp_path, "images/train/a.jpg", "images/train/a.xml")
    assert found == [Place("", tmp_path / "images", tmp_path / "images")]


def test_each_split_may_have_its_folder(tmp_path):
    found = places(
        tmp_path,
        *("README.txt", "train/a.jpg", "train/a.xml", "other/c.xml"),
        *("Valid/images/b.jpg", "Valid/annotations/b.xml", "test/notes.txt"),
    )
    valid = tmp_path / "Valid"
    assert found == [
        Place("Valid/", valid / "images", valid / "annotations"),
        Place("train/", tmp_path / "train", tmp_path / "train", below=False),
    ]


def test_other_folders_hold_nothing(tmp_path):
    assert places(tmp_path, "a.jpg", "VOC2007/JPEGImages/a.jpg", "labels/a.txt") == []


def test_splits_are_known_by_their_usual_names():
    assert same_split("val", "Validation") and same_split("valid", "val")
    assert same_split("cats", "Cats") and not same_split("train", "test")
    assert is_split_name("TRAIN") and not is_split_name("batch1")
