import errno
import functools
import os

import pytest
import tensorflow as tf

from tf_frcnn.export.versions import add_version


def fill(part, file="saved_model.pb"):
    part.mkdir()
    (part / file).write_text("new")


@pytest.fixture
def overtaken(tmp_path, monkeypatch):
    """Another export takes a version just before the first renaming."""
    rename = os.rename

    def late(part, target):
        monkeypatch.setattr(os, "rename", rename)
        fill(target)
        (target / "other").touch()
        rename(part, target)

    monkeypatch.setattr(os, "rename", late)


def test_of_two_exports_at_once_one_takes_the_next_number(tmp_path, overtaken):
    assert add_version(tmp_path, None, "savedmodel", fill) == tmp_path / "2"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2"]
    assert (tmp_path / "1" / "other").exists()
    assert not (tmp_path / "2" / "other").exists()


def test_of_two_exports_of_one_number_the_second_is_refused(tmp_path, overtaken):
    with pytest.raises(FileExistsError, match=r"1 exists, .* next free one is 2"):
        add_version(tmp_path, 1, "savedmodel", fill)
    assert [path.name for path in tmp_path.iterdir()] == ["1"]
    assert (tmp_path / "1" / "other").exists()


def test_a_folder_made_meanwhile_is_never_replaced_even_if_it_is_empty(tmp_path):
    def slow_fill(part):
        fill(part)
        (tmp_path / "4").mkdir()

    with pytest.raises(FileExistsError, match="4 exists"):
        add_version(tmp_path, 4, "savedmodel", slow_fill)
    assert not any((tmp_path / "4").iterdir())
    (tmp_path / "4").rmdir()
    assert add_version(tmp_path, None, "savedmodel", slow_fill) == tmp_path / "5"


def test_a_folder_that_cannot_be_renamed_is_an_error(tmp_path, monkeypatch):
    def fail(part, target):
        raise OSError("disk is gone")

    monkeypatch.setattr(os, "rename", fail)
    with pytest.raises(OSError, match="disk is gone"):
        add_version(tmp_path, None, "savedmodel", fill)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("file", "first", "second"),
    [
        ("saved_model.pb", "savedmodel", "onnx"),
        ("model.onnx", "onnx", "savedmodel"),
        ("model.tflite", "tflite", "onnx"),
    ],
)
def test_versions_in_one_folder_are_of_one_format(tmp_path, file, first, second):
    fill_first = functools.partial(fill, file=file)
    add_version(tmp_path, 3, first, fill_first)
    message = f"3 is of the format {first}, .* give {second} another folder"
    with pytest.raises(ValueError, match=message):
        add_version(tmp_path, 5, second, lambda part: pytest.fail("made in vain"))
    assert add_version(tmp_path, None, first, fill_first).name == "4"


def test_a_format_that_came_meanwhile_is_refused_too(tmp_path):
    def slow_fill(part):
        fill(part)
        fill(tmp_path / "1", "model.onnx")

    with pytest.raises(ValueError, match="1 is of the format onnx"):
        add_version(tmp_path, None, "savedmodel", slow_fill)
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


@pytest.mark.parametrize("version", [0, -3, 2**63])
def test_a_number_that_no_server_takes_is_refused(tmp_path, version):
    with pytest.raises(ValueError, match=f"export: version = {version} must lie in"):
        add_version(tmp_path / "new", version, "savedmodel", fill)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        tf.errors.ResourceExhaustedError(
            None, None, "{{node a}} /b/part-0; No space left on device [Op:SaveV2]"
        ),
    ],
)
def test_on_a_full_disk_the_folder_is_named_and_nothing_is_left(error, tmp_path):
    def overfill(part):
        fill(part)
        raise error

    with pytest.raises(OSError) as raised:
        add_version(tmp_path, None, "savedmodel", overfill)
    message = f"[Errno 28] {tmp_path} could not be written: No space left on device."
    assert str(raised.value) == message
    assert not list(tmp_path.iterdir())
