import json
import os
from pathlib import Path

import pytest

from tf_frcnn.data.checks import facts_cache
from tf_frcnn.data.checks.facts_cache import FactsCache, cache_folder


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The folder of the caches, which does not exist yet."""
    monkeypatch.setenv("TF_FRCNN_CACHE", str(tmp_path / "new" / "cache"))
    return tmp_path / "new" / "cache"


class AskedError(Exception):
    """Says that something is not known."""


def not_known():
    raise AskedError


def known(name, key="a", stamp=(1, "x")):
    """Returns whether the cache of a data set knows something."""
    try:
        with FactsCache(name) as cache:
            cache.recall(key, stamp, not_known)
    except AskedError:
        return False
    return True


def keep(name, key="a", stamp=(1, "x"), facts=(3, None, float("inf"))):
    with FactsCache(name) as cache:
        assert cache.recall(key, stamp, lambda: facts) == facts


def test_facts_are_found_once_and_kept():
    keep("set")
    with FactsCache("set") as cache:
        facts = cache.recall("a", (1, "x"), not_known)
        assert facts == [3, None, float("inf")]
        cache.recall("b", (1,), lambda: "other")
    assert known("set") and known("set", "b", (1,))


@pytest.mark.parametrize(
    ("name", "key", "stamp"),
    [("set", "a", (2, "x")), ("set", "b", (1, "x")), ("other", "a", (1, "x"))],
)
def test_what_was_changed_or_is_something_else_is_found_anew(name, key, stamp):
    keep("set")
    assert not known(name, key, stamp)


@pytest.mark.parametrize("change", ["size", "time"])
def test_a_file_is_known_by_its_size_and_time(tmp_path, change):
    path = tmp_path / "file"
    path.write_text("one")
    with FactsCache("set") as cache:
        cache.recall_file(path, lambda: 1)
    with FactsCache("set") as cache:
        assert cache.recall_file(path, not_known) == 1
    status = path.stat()
    if change == "size":
        path.write_text("more")
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    else:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    with FactsCache("set") as cache:
        assert cache.recall_file(path, lambda: 2) == 2


def test_about_a_file_that_does_not_exist_nothing_is_kept(tmp_path):
    for facts in (1, 2):
        with FactsCache("set") as cache:
            assert cache.recall_file(tmp_path / "none", lambda facts=facts: facts)
    with FactsCache("set") as cache:
        assert cache.recall_file(tmp_path / "none", lambda: 3) == 3


def test_an_error_is_raised_and_not_kept_and_what_was_found_before_it_is():
    with pytest.raises(ZeroDivisionError), FactsCache("set") as cache:
        cache.recall("a", (1, "x"), lambda: 1)
        cache.recall("b", (1, "x"), lambda: 1 / 0)
    assert known("set", "a") and not known("set", "b")


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data.replace(b"3", b"4"),
        lambda data: b'{"a": [[1, "x"], 5]}',
        lambda data: b"\xff\x00" * 40,
    ],
)
def test_a_damaged_or_foreign_file_is_ignored_and_replaced(folder, damage):
    keep("set")
    (path,) = folder.iterdir()
    path.write_bytes(damage(path.read_bytes()))
    assert not known("set")
    keep("set")
    assert known("set") and list(folder.iterdir()) == [path]


def test_a_cache_of_another_version_is_ignored(monkeypatch):
    keep("set")
    monkeypatch.setattr(facts_cache, "_FORMAT", 0)
    assert not known("set")


def test_a_cache_that_cannot_be_written_or_read_is_no_error(folder):
    folder.parent.mkdir()
    folder.write_text("no folder")
    keep("set")
    assert not known("set") and folder.read_text() == "no folder"


def test_the_file_is_json_behind_a_line(folder):
    keep("set", facts=[1, 2])
    (path,) = folder.iterdir()
    _, content = path.read_text().split("\n")
    assert json.loads(content) == {"a": [[1, "x"], [1, 2]]}


def test_an_empty_variable_switches_the_cache_off(monkeypatch, tmp_path):
    monkeypatch.setenv("TF_FRCNN_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() is None
    keep("set")
    assert not known("set") and list(tmp_path.iterdir()) == []


def test_without_the_variable_the_cache_of_the_user_is_taken(monkeypatch, tmp_path):
    monkeypatch.delenv("TF_FRCNN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "tf_frcnn"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/someone")
    assert cache_folder() == Path("/home/someone/.cache/tf_frcnn")


def test_a_relative_folder_is_that_below_the_working_directory(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TF_FRCNN_CACHE", "kept")
    assert cache_folder() == tmp_path / "kept"
    keep("relative")
    assert known("relative") and [*(tmp_path / "kept").iterdir()]


def test_facts_about_files_that_are_gone_are_dropped(tmp_path):
    files = [tmp_path / name for name in ("a", "b")]
    for file in files:
        file.write_text("x")
    with FactsCache("gone") as cache:
        for file in files:
            cache.recall_file(file, lambda: 1)
    files[0].unlink()
    keep("gone", key="new")
    with FactsCache("gone") as cache:
        assert cache._facts.keys() == {str(files[1]), "new"}
