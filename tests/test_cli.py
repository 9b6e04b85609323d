import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from tests.helpers.command_line import failure_of
from tests.helpers.paths import QUICKSTART
from tests.helpers.random_run import write_random_run
from tf_frcnn import commands
from tf_frcnn.cli import main
from tf_frcnn.commands import COMMANDS


def test_the_module_is_the_command():
    command = [sys.executable, "-m", "tf_frcnn", "show-config", str(QUICKSTART)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "name: tiny" in done.stdout


def test_a_setting_that_is_not_allowed_is_named(capsys):
    line = failure_of(capsys, "train", QUICKSTART, "--set", "rpn.positive_iou=1.7")
    assert line == "--set: rpn.positive_iou = 1.7 must lie in (0, 1]."
    line = failure_of(capsys, "show-config", QUICKSTART, "--set", "train.epoch=1")
    assert "did you mean train.epochs?" in line


@pytest.mark.parametrize(
    "setting", ["roi.pooling", "backbone.name", "evaluation.metric", "data.reader"]
)
def test_a_name_that_no_registry_has_is_blamed_on_what_gave_it(
    setting, capsys, tmp_path
):
    arguments = ["train", QUICKSTART, "--output", tmp_path / "run"]
    line = failure_of(capsys, *arguments, "--set", f"{setting}=unknown")
    assert line.startswith(f"--set: {setting} = 'unknown'")
    section, name = setting.split(".")
    file = tmp_path / "own.yaml"
    file.write_text(f"base: quickstart\n{section}: {{{name}: unknown}}\n")
    line = failure_of(capsys, "train", file, "--output", tmp_path / "run")
    assert line.startswith(f"{file}: {setting} = 'unknown'")
    assert not (tmp_path / "run").exists()


def test_a_name_given_for_a_run_is_blamed_on_the_option_too(capsys, tmp_path):
    run = write_random_run(tmp_path)
    line = failure_of(capsys, "evaluate", run, "--set", "evaluation.metric=x")
    assert line.startswith("--set: evaluation.metric = 'x' must be one of 11-point")


def test_a_missing_configuration_is_named(capsys, tmp_path):
    line = failure_of(capsys, "train", tmp_path / "none.yaml")
    assert str(tmp_path / "none.yaml") in line and "No such file" in line


def test_where_an_error_was_raised_is_shown_if_asked_for(tmp_path):
    with pytest.raises(FileNotFoundError, match="is not a run folder"):
        main(["--traceback", "evaluate", str(tmp_path)])


@pytest.mark.parametrize("arguments", [[], ["fly"], ["evaluate"], ["make-shapes"]])
def test_a_command_that_is_not_understood_ends_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert "usage: tf-frcnn" in capsys.readouterr().err


def test_every_command_is_listed_with_its_help(capsys):
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    printed = " ".join(capsys.readouterr().out.split())
    for name, command in COMMANDS.items():
        assert f" {name} {command.HELP}" in printed


def test_every_file_of_the_commands_is_one():
    files = {path.stem for path in Path(commands.__file__).parent.glob("*.py")}
    names = {command.__name__.rpartition(".")[2] for command in COMMANDS.values()}
    assert files - {"__init__", "arguments"} == names


_IMPORTED = """
import sys
from tf_frcnn.cli import main
try:
    main(sys.argv[1:])
finally:
    print({name.split(".")[0] for name in sys.modules} & {"tensorflow", "keras"})
"""


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["train", "--help"],
        ["train", "quickstart", "--set", "train.epochz=3"],
        ["show-config", "quickstart"],
        ["compare", "quickstart", "quickstart", "--output", "/dev/null/no folder"],
        *(
            [command, "nowhere", *more]
            for command, more in {
                **{"demo": [], "evaluate": [], "explain": ["a.jpg"]},
                **{"export": ["exported"], "predict": ["a.jpg"]},
            }.items()
        ),
    ],
    ids=" ".join,
)
def test_what_needs_no_network_imports_no_tensorflow(words):
    command = [sys.executable, "-c", _IMPORTED, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == "set()"


def test_warnings_take_one_tidy_line_each(monkeypatch, capsys):
    def run(options):
        for text in ("no example of\n  cat", "no example of\n  cat", "a high rate"):
            warnings.warn(text, stacklevel=1)

    monkeypatch.setattr(commands.show_config, "run", run)
    before = warnings.showwarning
    assert main(["show-config", str(QUICKSTART)]) == 0
    assert capsys.readouterr().err.splitlines() == [
        "tf-frcnn: warning: no example of cat",
        "tf-frcnn: warning: a high rate",
    ]
    assert warnings.showwarning is before
