import pytest

from tests.helpers.made_once import made_once


class Factory:
    """Stands for `tmp_path_factory` of a process."""

    def __init__(self, base):
        self.base = base
        base.mkdir()

    def getbasetemp(self):
        return self.base

    def mktemp(self, name):
        (self.base / name).mkdir()
        return self.base / name


@pytest.fixture
def factories(tmp_path, monkeypatch):
    """The factories of two workers of one run."""
    monkeypatch.setenv("PYTEST_XDIST_WORKER", "gw0")
    return [Factory(tmp_path / name) for name in ("gw0", "gw1")]


def test_the_second_process_gets_a_copy_of_what_the_first_made(factories):
    copies = []
    for text, factory in zip(("first", "second"), factories, strict=True):

        def make(folder, text=text):
            (folder / "file").write_text(text)

        copies.append(made_once(factory, "run", make))
    assert copies[0] != copies[1]
    assert [(copy / "file").read_text() for copy in copies] == ["first", "first"]
    (copies[0] / "file").unlink()
    assert (copies[1] / "file").exists()


def test_what_failed_is_made_again(factories):
    def fail(folder):
        (folder / "half").touch()
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space"):
        made_once(factories[0], "run", fail)
    copy = made_once(factories[1], "run", lambda folder: (folder / "whole").touch())
    assert [path.name for path in copy.iterdir()] == ["whole"]


def test_without_workers_nothing_leaves_the_folder_of_the_run(factories, monkeypatch):
    monkeypatch.delenv("PYTEST_XDIST_WORKER")
    made_once(factories[0], "run", lambda folder: None)
    assert (factories[0].base / "made_once" / "run").is_dir()
