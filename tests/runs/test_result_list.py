import json
from pathlib import Path

import pytest

from tf_frcnn.runs.result_list import ResultList


def entry(number):
    return {"file": f"{number}.png", "text": "é" * number}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new" / "list.json"


def test_the_list_is_whole_after_each_entry(path):
    listed = ResultList(path)
    assert not path.exists()
    for count in range(1, 5):
        listed.add(count, entry(count))
        assert json.loads(path.read_text()) == [entry(n + 1) for n in range(count)]


def test_the_entries_are_sorted_by_their_places(path):
    listed = ResultList(path)
    for number in (2, 0, 3, 1):
        listed.add(number, entry(number))
    listed.sort()
    assert json.loads(path.read_text()) == [entry(n) for n in range(4)]
    assert [p.name for p in path.parent.iterdir()] == ["list.json"]


def test_a_list_without_entries_makes_no_file(path):
    ResultList(path).sort()
    assert not path.parent.exists()


def test_the_first_entry_replaces_what_was_there(path):
    path.parent.mkdir()
    path.write_text("a much longer text than that of the entry" * 9)
    listed = ResultList(path)
    assert path.read_text().startswith("a much")
    listed.add(0, entry(0))
    assert json.loads(path.read_text()) == [entry(0)]


class Full:
    """A file on a disk that takes twelve bytes more, and no others."""

    def __init__(self, file):
        self.file = file

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.file.close()

    def seek(self, place):
        self.file.seek(place)

    def write(self, content):
        return self.file.write(content[:12])


def test_an_entry_without_room_leaves_the_list_as_it_was(path, monkeypatch):
    listed = ResultList(path)
    listed.add(0, entry(0))
    before, opened = path.read_bytes(), Path.open
    monkeypatch.setattr(Path, "open", lambda *a, **k: Full(opened(*a, **k)))
    with pytest.raises(OSError, match=r"list\.json could not be written: no space"):
        listed.add(1, entry(1))
    monkeypatch.undo()
    assert path.read_bytes() == before
    listed.add(1, entry(1))
    assert len(json.loads(path.read_text())) == 2
