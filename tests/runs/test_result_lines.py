import json
from pathlib import Path

import pytest

from tf_frcnn.runs.result_lines import ResultLines, read_entries, repair


def entry(number):
    return {"file": f"{number}.png", "text": "é\n" * number}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new" / "list.jsonl"


def test_each_entry_is_a_line_that_is_there_at_once(path):
    with ResultLines(path) as lines:
        assert not path.exists()
        for count in range(1, 5):
            lines.add(entry(count))
            written = [json.loads(line) for line in path.read_text().splitlines()]
            assert written == [entry(n + 1) for n in range(count)]
    assert [*read_entries(path)] == written


def test_names_that_are_no_text_are_kept(path):
    with ResultLines(path) as lines:
        lines.add({"file": "caf\udce9.png"})
    assert path.read_bytes().isascii()
    assert [*read_entries(path)] == [{"file": "caf\udce9.png"}]


def test_a_list_is_replaced_or_gone_on_with(path):
    for append, count in ((False, 1), (True, 2), (False, 1)):
        with ResultLines(path, append=append) as lines:
            lines.add(entry(0))
        assert [*read_entries(path)] == [entry(0)] * count


@pytest.mark.parametrize("length", [1, 70_000, 200_000])
def test_the_beginning_of_a_last_line_is_removed(path, length):
    with ResultLines(path) as lines:
        lines.add(entry(1))
    whole = path.read_bytes()
    for kept in (b"", whole, whole * 2):
        path.write_bytes(kept + b"x" * length)
        repair(path)
        assert path.read_bytes() == kept
        repair(path)
        assert path.read_bytes() == kept


@pytest.mark.parametrize("line", ["{", "[]", '{"error": "a"}', '{"file": 3}', ""])
def test_a_line_that_is_no_entry_is_named(tmp_path, line):
    path = tmp_path / "list.jsonl"
    path.write_text(f'{{"file": "a.png"}}\n{line}\n')
    with pytest.raises(ValueError, match=r"list\.jsonl: line 2 is not an entry"):
        [*read_entries(path)]


class Full:
    """A file on a disk that takes twelve bytes more, and no others."""

    def __init__(self, file):
        self.file = file
        self.tell, self.seek, self.close = file.tell, file.seek, file.close
        self.truncate = file.truncate

    def write(self, content):
        return self.file.write(content[:12])


def test_an_entry_without_room_leaves_the_list_as_it_was(path, monkeypatch):
    with ResultLines(path) as lines:
        lines.add(entry(0))
    before, opened = path.read_bytes(), Path.open
    monkeypatch.setattr(Path, "open", lambda *a, **k: Full(opened(*a, **k)))
    with ResultLines(path, append=True) as lines:
        with pytest.raises(OSError, match=r"list\.jsonl could not be written: no spa"):
            lines.add(entry(1))
    monkeypatch.undo()
    assert path.read_bytes() == before
    with ResultLines(path, append=True) as lines:
        lines.add(entry(1))
    assert [*read_entries(path)] == [entry(0), entry(1)]
