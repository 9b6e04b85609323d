import os
import unicodedata

import pytest

from tf_frcnn.data.checks.listing import Listing, existing_folder
from tf_frcnn.data.checks.problems import DataError, Problems


@pytest.fixture
def root(tmp_path):
    """A folder with files, subfolders and what is to be ignored."""
    root = tmp_path / "data"
    for name in ("b.jpg", "a.jpg", ".hidden", "sub/c.jpg", "sub/deep/d.jpg"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    for name in (".git/e.jpg", "__MACOSX/f.jpg"):
        (root / name).parent.mkdir()
        (root / name).write_text(name)
    return root


def names(root, problems=None, folder=None, **settings):
    listing = Listing(root, problems or Problems(), **settings)
    return [name for name, _ in listing.files(folder or root)]


def test_files_are_listed_with_their_subfolders_sorted(root):
    assert names(root) == ["a.jpg", "b.jpg", "sub/c.jpg", "sub/deep/d.jpg"]
    assert names(root, folder=root / "sub") == ["c.jpg", "deep/d.jpg"]
    files = dict(Listing(root, Problems()).files(root, below=False))
    assert files == {"a.jpg": root / "a.jpg", "b.jpg": root / "b.jpg"}


def test_folders_are_found_by_name_in_any_case(root):
    (root / "Images").mkdir()
    (root / "labels").write_text("a file")
    listing = Listing(root, Problems())
    assert listing.folders(root, ["images", "labels"]) == {"images": root / "Images"}


def test_names_are_composed_and_paths_as_stored(root):
    stored = unicodedata.normalize("NFD", "é.jpg")
    (root / "sub" / stored).write_text("")
    found = dict(Listing(root, Problems()).files(root))
    assert found["sub/\u00e9.jpg"] == root / "sub" / stored


def test_links_within_the_folder_are_nothing_to_report(root):
    (root / "again.jpg").symlink_to(root / "a.jpg")
    (root / "circle").symlink_to(root)
    problems = Problems()
    assert "again.jpg" in names(root, problems) and problems.rows == []


@pytest.fixture
def linked(root, tmp_path):
    """The folder with a file and a subfolder that lie outside of it."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x.jpg").write_text("")
    (root / "y.jpg").symlink_to(tmp_path / "outside" / "x.jpg")
    (root / "z").symlink_to(tmp_path / "outside")
    return root


def test_links_out_of_the_folder_are_followed_and_counted(linked, tmp_path):
    problems = Problems()
    listing = Listing(linked, problems)
    for _ in range(2):  # Each is counted once.
        found = dict(listing.files(linked))
    assert found["y.jpg"] == linked / "y.jpg" and found["z/x.jpg"] == linked / "z/x.jpg"
    assert [(row.file, row.action) for row in problems.rows] == [
        ("y.jpg", "keep"),
        ("z", "keep"),
    ]
    assert problems.rows[1].detail == (
        f"it leads out of the folder, to {tmp_path / 'outside'}"
    )


def test_links_out_of_the_folder_can_be_left_out(linked):
    problems = Problems()
    found = names(linked, problems, follow_links=False)
    assert found == ["a.jpg", "b.jpg", "sub/c.jpg", "sub/deep/d.jpg"]
    assert [row.action for row in problems.rows] == ["drop", "drop"]
    listing = Listing(linked, problems, follow_links=False)
    assert listing.folders(linked, ["z"]) == {}


def test_the_folder_itself_may_be_a_link(root, tmp_path):
    (tmp_path / "link").symlink_to(root)
    problems = Problems()
    assert names(tmp_path / "link", problems, follow_links=False) == names(root)
    assert problems.rows == []


def test_a_link_to_nothing_and_a_pipe_are_listed(root):
    (root / "lost.jpg").symlink_to(root / "nothing")
    os.mkfifo(root / "pipe.jpg")
    assert {"lost.jpg", "pipe.jpg"} <= {*names(root)}


def test_a_folder_that_does_not_exist_is_named_with_its_full_path(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as error:
        existing_folder("cells")
    assert str(error.value) == (
        f"The folder cells does not exist; it was looked for at {tmp_path / 'cells'}."
    )
    (tmp_path / "cells.zip").write_text("")
    with pytest.raises(DataError, match=r"cells\.zip is a file, not a folder.*Unpack"):
        existing_folder("cells.zip")


def test_the_home_folder_may_be_short(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "cells").mkdir()
    assert existing_folder("~/cells") == tmp_path / "cells"
