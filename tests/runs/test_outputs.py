import tempfile

import pytest

from tf_frcnn.runs.outputs import require_free, require_writable


def test_a_folder_that_can_be_written_is_left_as_it_was(tmp_path):
    require_writable(tmp_path / "new" / "folder")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "there").mkdir()
    require_writable(tmp_path / "there")
    assert list(tmp_path.iterdir()) == [tmp_path / "there"]


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "taken").write_text("mine")
    for place in (tmp_path / "taken", tmp_path / "taken" / "below"):
        with pytest.raises(OSError, match=f"^{place}: no files can be written there"):
            require_writable(place)
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_folder_that_is_read_only_is_named(tmp_path, monkeypatch):
    def refuse(dir):
        raise PermissionError(13, "Permission denied", str(dir))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(PermissionError, match=r"out: .*\(Permission denied\); choose"):
        require_writable(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_files_that_exist_are_named_unless_they_may_be_replaced(tmp_path):
    paths = [tmp_path / name for name in ("a.png", "b.png", "c.png")]
    require_free(paths, overwrite=False)
    for path in paths[1:]:
        path.touch()
    message = r"b\.png and 1 more of the results exist already; .* --overwrite"
    with pytest.raises(FileExistsError, match=message):
        require_free(paths, overwrite=False)
    with pytest.raises(FileExistsError, match=r"b\.png exists already"):
        require_free(paths[:2], overwrite=False)
    require_free(paths, overwrite=True)


def test_a_folder_or_a_broken_link_is_in_the_way_as_well(tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(IsADirectoryError, match=r"a\.png is a folder"):
        require_free([tmp_path / "a.png"], overwrite=True)
    (tmp_path / "b.png").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileExistsError, match=r"b\.png exists"):
        require_free([tmp_path / "b.png"], overwrite=False)


def test_a_file_that_would_be_written_in_between_is_in_the_way_as_well(tmp_path):
    (tmp_path / "part.a.png").touch()
    with pytest.raises(FileExistsError, match=r"part\.a\.png exists already"):
        require_free([tmp_path / "a.png"], overwrite=False)
