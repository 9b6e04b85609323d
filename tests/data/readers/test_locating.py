import unicodedata

import pytest

from tf_frcnn.data.checks.problems import DataError, Problems
from tf_frcnn.data.readers.locating import (
    chosen_splits,
    existing_location,
    files_by_split,
    find_file,
    id_below,
    image_folders,
    locate_images,
    root_of,
)


@pytest.fixture
def folder(tmp_path):
    for name in ("images/train/a.png", "images/b.png", "c/d/e.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("a.png", "images/train/a.png"),
        ("./b.png", "images/b.png"),
        ("images\\b.png", "images/b.png"),
        ("../images/b.png", "images/b.png"),
        ("/home/someone/set/images/train/a.png", "images/train/a.png"),
        ("C:\\Users\\someone\\set\\b.png", "images/b.png"),
        ("c/d/e.png", "c/d/e.png"),
        ("z.png", None),
        ("", None),
        ("images", None),
        ("a\0.png", None),
        ("a" * 5000, None),
    ],
)
def test_a_name_is_found_by_its_last_parts(folder, name, found):
    folders = [folder / "images" / "train", folder / "images", folder]
    path = find_file(name, folders)
    assert path == (None if found is None else folder / found)


def test_a_path_that_exists_is_taken_as_it_is(folder, tmp_path_factory):
    other = tmp_path_factory.mktemp("other") / "b.png"
    other.touch()
    assert find_file(str(other), [folder / "images"]) == other


@pytest.mark.parametrize("stored", ["NFC", "NFD"])
def test_letters_with_accents_are_found_in_both_forms(tmp_path, stored):
    path = tmp_path / unicodedata.normalize(stored, "Käse.png")
    path.touch()
    for form in ("NFC", "NFD"):
        assert find_file(unicodedata.normalize(form, "Käse.png"), [tmp_path]) == path


def test_missing_images_are_counted_with_the_folders(folder):
    problems = Problems()
    found = locate_images(["b.png", "x.png"], [folder / "images"], problems, "a.json")
    assert found == {"b.png": folder / "images" / "b.png"}
    (row,) = problems.rows
    assert (row.kind, row.file) == ("missing_image", "x.png")
    assert "a.json" in row.detail and str(folder / "images") in row.detail


def test_two_names_of_one_file_are_dropped_both(folder):
    problems = Problems()
    names = ["one/b.png", "two/b.png", "images/train/a.png", "./images/train/a.png"]
    found = locate_images(names, [folder, folder / "images"], problems, "a.json")
    assert set(found) == set(names[2:])
    (row,) = problems.rows
    assert (row.kind, row.action) == ("ambiguous_image", "drop")
    assert "one/b.png and two/b.png" in row.detail


def test_an_id_is_the_path_below_the_innermost_folder(folder):
    folders = [folder, folder / "images", folder / "images" / "train"]
    assert id_below(folder / "images" / "train" / "a.b.png", folders) == "a.b"
    assert id_below(folder / "c" / "d" / "e.png", folders) == "c/d/e"
    assert id_below(folder.parent / "f.png", folders) == "f"


def test_files_are_split_by_the_star_of_the_first_layout(tmp_path):
    for name in ("train/x.json", "valid/x.json", "y.json", ".z/x.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = files_by_split(tmp_path, ("*/none.json", "*/x.json", "*.json"))
    assert [*found] == [".z", "train", "valid"]
    assert found["train"] == tmp_path / "train" / "x.json"
    assert files_by_split(tmp_path, ("*.json",)) == {"": tmp_path / "y.json"}
    assert files_by_split(tmp_path, ("*.json",), leave_out=["y.json"]) == {}
    assert files_by_split(tmp_path / "y.json", ()) == {"": tmp_path / "y.json"}


def test_the_only_file_keeps_the_name_of_its_split(tmp_path):
    """Asked for another split, nobody shall get the images of this one."""
    (tmp_path / "instances_train2017.json").touch()
    assert [*files_by_split(tmp_path, ("instances_*.json",))] == ["train2017"]


def test_a_sum_of_splits_is_taken_apart():
    splits = {"train": 1, "val": 2}
    assert chosen_splits(splits, "train + val", "x") == [("train", 1), ("val", 2)]
    assert chosen_splits(splits, "validation", "x") == [("val", 2)]
    assert chosen_splits({"": 3}, "anything", "x") == [("", 3)]
    with pytest.raises(DataError) as error:
        chosen_splits(splits, "trian", "cells")
    assert str(error.value) == (
        "cells has no split 'trian'; the splits there are train, val; did you mean "
        "'train'?"
    )


def test_two_splits_of_similar_names_are_not_confused():
    splits = {"valid": 1, "val": 2}
    assert chosen_splits(splits, "valid", "x") == [("valid", 1)]


def test_a_location_must_exist(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "cells").mkdir()
    assert existing_location("~/cells", "a folder") == tmp_path / "cells"
    with pytest.raises(
        DataError, match=f"^cels does not exist in {tmp_path}; give a f"
    ):
        existing_location("cels", "a folder")
    with pytest.raises(DataError, match=r"^data\.directory is not set; give a folder"):
        existing_location(None, "a folder")


def test_images_are_looked_for_in_the_folders_of_their_split_first(tmp_path):
    file = tmp_path / "annotations" / "instances_val.json"
    for name in ("annotations", "images/val", "val"):
        (tmp_path / name).mkdir(parents=True)
    assert root_of(file.parent) == file.parent and root_of(tmp_path) == tmp_path
    file.touch()
    assert root_of(file) == tmp_path
    (tmp_path / "x.json").touch()
    assert root_of(tmp_path / "x.json") == tmp_path
    expected = [
        tmp_path / n for n in ("val", "images/val", "annotations", "images", "")
    ]
    assert image_folders(tmp_path, file, "val") == expected
    assert image_folders(tmp_path, file, "") == expected
