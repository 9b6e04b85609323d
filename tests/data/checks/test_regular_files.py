import os

import pytest

from tf_frcnn.data.checks import regular_files
from tf_frcnn.data.checks.regular_files import read_regular_file


def test_a_file_is_read_whole(tmp_path):
    (tmp_path / "a").write_bytes(b"\0abc")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    assert read_regular_file(tmp_path / "a") == b"\0abc"
    assert read_regular_file(tmp_path / "link") == b"\0abc"


def test_a_pipe_is_refused_at_once(pipe):
    with pytest.raises(OSError, match="it is not a regular file"):
        read_regular_file(pipe)


def test_devices_and_folders_are_refused(tmp_path):
    (tmp_path / "zero").symlink_to(os.devnull)
    for path in (tmp_path, tmp_path / "zero"):
        with pytest.raises(OSError, match="it is not a regular file"):
            read_regular_file(path)


def test_a_file_above_the_limit_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(regular_files, "MAX_BYTES", 2**20)
    path = tmp_path / "large"
    path.write_bytes(bytes(2**20))
    assert len(read_regular_file(path)) == 2**20
    path.write_bytes(bytes(2**20 + 2**19))
    with pytest.raises(OSError, match="it has 2 MB, more than the 1 MB that are read"):
        read_regular_file(path)


def test_a_missing_file_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_regular_file(tmp_path / "none")
