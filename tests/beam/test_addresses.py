import pytest

from tests.helpers.remote_files import RemoteFiles, address_of
from tf_frcnn.beam import addresses
from tf_frcnn.beam.addresses import local_folder, read_file


def test_files_are_read_by_their_paths_and_their_addresses(tmp_path):
    # Beam unpacks it, if it is let.
    (tmp_path / "a.gz").write_bytes(b"content")
    assert read_file(str(tmp_path / "a.gz")) == b"content"
    assert read_file(address_of(tmp_path / "a.gz")) == b"content"


def test_what_is_not_there_has_no_picture_and_what_is_there_is_tried_again(
    tmp_path, monkeypatch
):
    for place in (str(tmp_path / "a"), address_of(tmp_path / "a")):
        with pytest.raises(OSError):
            read_file(place)

    def fail(self, path, *rest, **settings):
        raise ConnectionError("the line is down")

    (tmp_path / "a").touch()
    monkeypatch.setattr(RemoteFiles, "open", fail)
    with pytest.raises(RuntimeError, match="could not be fetched: the line is down"):
        read_file(address_of(tmp_path / "a"))


def test_files_that_are_too_large_are_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(addresses, "MAX_BYTES", 4)
    (tmp_path / "a").write_bytes(b"12345")
    with pytest.raises(OSError, match="more than the"):
        read_file(address_of(tmp_path / "a"))


def test_a_remote_folder_is_copied_with_its_subfolders_for_the_time_being(tmp_path):
    for name in ("a", "b/c", "b/d/e"):
        path = tmp_path / "far" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    with local_folder(address_of(tmp_path / "far/")) as copy:
        files = {p.relative_to(copy).as_posix(): p for p in copy.rglob("?")}
        texts = {n: p.read_text() for n, p in files.items() if p.is_file()}
    assert texts == {n: n for n in ("a", "b/c", "b/d/e")}
    assert not copy.exists()
    with local_folder(str(tmp_path)) as folder:
        assert folder == tmp_path
    assert tmp_path.exists()
    nowhere = local_folder(address_of(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match="nowhere: there are no files"), nowhere:
        pass
