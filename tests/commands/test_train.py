import csv
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.helpers.command_line import failure_of
from tests.helpers.paths import QUICKSTART
from tf_frcnn.assembly import Splits
from tf_frcnn.cli import main
from tf_frcnn.commands import train
from tf_frcnn.config import Config, load_config
from tf_frcnn.data import make_shapes, write_voc
from tf_frcnn.runs import evaluation, opening, training

pytestmark = pytest.mark.usefixtures("eager_steps")


def test_training_leaves_everything_in_the_trained_run(trained_run):
    files = {str(p.relative_to(trained_run)) for p in trained_run.rglob("*.*")}
    assert {
        "config.yaml",
        "classes.txt",
        "problems.json",
        "log.csv",
        "times.csv",
        "report.html",
        "metrics_test.json",
        "weights/best.weights.h5",
        "state.json",
        "samples/shapes_1000000_00000.png",
        "drawings/epoch_001_shapes_1000000_00000.png",
        "drawings/test_shapes_2000000_00000.png",
        "export/1/saved_model.pb",
    } <= files
    assert any("tfevents" in file for file in files)
    assert not any("part" in Path(file).name for file in files)
    page = (trained_run / "report.html").read_text()
    assert "drawings/test_shapes_2000000_00000.png" in page and "on test" in page
    with (trained_run / "log.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert float(row["loss"]) > 0 and 0 <= float(row["val_mAP"]) <= 1


def test_a_run_can_be_resumed_by_the_command(trained_run, monkeypatch):
    calls = []
    monkeypatch.setattr(train, "run_training", lambda *a, **k: calls.append((a, k)))
    assert main(["train", str(QUICKSTART), "--resume", "--set", "seed=3"]) == 0
    config = load_config(QUICKSTART, ["seed=3"])
    settings = {"resume": True, "init": None, "exports": True}
    assert calls == [((config, Path("runs/quickstart")), settings)]


def test_a_recipe_is_trained_by_its_name_outside_the_clone(monkeypatch, tmp_path):
    calls = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train, "run_training", lambda *a, **k: calls.append(a))
    for name in ("quickstart", "quickstart.yaml"):
        assert main(["train", name]) == 0
    assert calls == [(load_config(QUICKSTART), Path("runs/quickstart"))] * 2


def test_a_run_that_exists_is_not_begun_anew(capsys, trained_run):
    line = failure_of(capsys, "train", QUICKSTART, "--output", trained_run)
    assert line.startswith(f"{trained_run} holds a run already") and "--resume" in line
    line = failure_of(
        capsys, "train", QUICKSTART, "--output", trained_run / "none", "--resume"
    )
    assert "there is nothing to resume" in line


def test_a_setting_that_fits_no_network_is_an_error_that_names_the_option(
    capsys, small_settings, tmp_path
):
    settings = ("--output", tmp_path, "--set", "backbone.name=tinny", *small_settings)
    line = failure_of(capsys, "train", QUICKSTART, *settings)
    assert line.startswith("--set: backbone.name = 'tinny' is not a backbone; did")


def test_all_splits_are_opened_before_the_first_step(monkeypatch, tmp_path):
    calls = []
    model = SimpleNamespace(rpn=None, roi_head=None)

    def note(name, result):
        return lambda *a, **k: calls.append((name, *a[1:2])) or result

    monkeypatch.setattr(opening, "open_splits", note("open", "validation"))
    monkeypatch.setattr(training, "train", note("train", model))
    monkeypatch.setattr(evaluation, "evaluate_run", note("evaluate", None))
    train.run_training(load_config(QUICKSTART), tmp_path / "run")
    (opened, splits), trained, evaluated = calls
    assert (opened, trained) == ("open", ("train", tmp_path / "run"))
    assert isinstance(splits, Splits) and evaluated == ("evaluate", "validation")


@pytest.mark.parametrize("words", [[], ["--no-export"]])
def test_the_export_may_be_left_out(words, monkeypatch, tmp_path, capsys):
    model = SimpleNamespace(rpn=True, roi_head=True)
    monkeypatch.setattr(opening, "open_splits", lambda *_: "test")
    monkeypatch.setattr(training, "train", lambda *_, **__: model)
    monkeypatch.setattr(evaluation, "evaluate_run", lambda *_, **__: None)
    monkeypatch.setattr(train, "export_run", lambda run, to: to)
    run = tmp_path / "run"
    assert main(["train", str(QUICKSTART), "--output", str(run), *words]) == 0
    assert (f"SavedModel: {run / 'export'}" in capsys.readouterr().out) == (not words)


def test_a_folder_that_holds_a_run_is_refused_before_data_are_read(
    monkeypatch, tmp_path
):
    monkeypatch.setattr(opening, "open_splits", None)
    (tmp_path / "config.yaml").write_text("")
    with pytest.raises(FileExistsError):
        train.run_training(Config(), tmp_path)


@pytest.mark.slow
def test_a_data_set_without_a_test_split_is_trained_and_validated(
    small_settings, tmp_path, capsys
):
    """As of a tool that writes train and val only."""
    for split, count in (("train", 4), ("val", 2)):
        shapes = make_shapes(count, seed=count)
        write_voc(shapes, tmp_path / "data", split)
    data = f"{{reader: voc, directory: {tmp_path / 'data'}, train_split: train, "
    data += "validation_split: val, test_split: test}"
    settings = [*small_settings, "--set", f"data={data}"]
    output = f"--output={tmp_path / 'run'}"
    arguments = ["train", str(QUICKSTART), output, "--no-export", *settings]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert printed.index("Without a test split") < printed.index("Metrics:")
    assert (tmp_path / "run" / "metrics_validation.json").is_file()
    assert not (tmp_path / "run" / "export").exists()


def test_weights_that_are_missing_are_told_before_data_are_read(capsys, tmp_path):
    settings = ("data.reader=voc", f"data.directory={tmp_path / 'no-data'}")
    settings += ("backbone.name=vgg16", f"backbone.weights={tmp_path / 'absent.h5'}")
    arguments = [word for text in settings for word in ("--set", text)]
    run = tmp_path / "run"
    line = failure_of(capsys, "train", QUICKSTART, "--output", run, *arguments)
    assert "absent.h5': no such file" in line and not run.exists()


def test_a_run_does_not_fill_the_folder_of_its_data(capsys, tmp_path):
    (tmp_path / "JPEGImages").mkdir()
    settings = ("data.reader=voc", f"data.directory={tmp_path}")
    arguments = [word for text in settings for word in ("--set", text)]
    line = failure_of(capsys, "train", QUICKSTART, "--output", tmp_path, *arguments)
    assert "holds the data" in line and [*tmp_path.iterdir()] == [
        tmp_path / "JPEGImages"
    ]


def test_a_home_folder_is_expanded_behind_an_equals_sign(monkeypatch, tmp_path):
    calls = []
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(train, "run_training", lambda *a, **k: calls.append(a[1]))
    assert main(["train", str(QUICKSTART), "--output=~/run"]) == 0
    assert calls == [tmp_path / "run"]
