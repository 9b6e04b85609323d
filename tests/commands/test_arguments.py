from pathlib import Path

import pytest

from tests.helpers.command_line import failure_of
from tf_frcnn.commands.arguments import expanded_path, run_folder


@pytest.mark.parametrize("command", ["evaluate", "export", "predict"])
def test_a_missing_run_is_named(capsys, tmp_path, command):
    further = [] if command == "evaluate" else [tmp_path / "further"]
    line = failure_of(capsys, command, tmp_path / "nowhere", *further)
    assert f"{tmp_path / 'nowhere'} is not a run folder" in line
    assert not (tmp_path / "further").exists()


def test_a_run_is_named_by_its_folder_its_configuration_or_its_recipe(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    named = {
        "runs/mine": "runs/mine",
        "quickstart_2": "quickstart_2",
        "configs/mine.yaml": "runs/mine",
        "quickstart.yml": "runs/quickstart",
        "quickstart": "runs/quickstart",
    }
    assert {name: run_folder(name) for name in named} == {
        name: Path(folder) for name, folder in named.items()
    }
    Path("quickstart").mkdir()
    assert run_folder("quickstart") == Path("quickstart")


def test_the_home_folder_may_be_short(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expanded_path("~/out") == run_folder("~/out") == tmp_path / "out"
    assert expanded_path("a/~b") == Path("a/~b")
