import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.helpers.paths import QUICKSTART
from tf_frcnn.cli import main
from tf_frcnn.commands import workflow
from tf_frcnn.config import load_config
from tf_frcnn.data import SHAPE_CLASSES, make_shapes, read_voc

SETTINGS = {
    "data.num_train": 8,
    "data.num_validation": 3,
    "data.num_test": 4,
    "data.short_side": 96,
    "data.long_side": 128,
    "data.canvases": [[128, 128]],
    "rpn.channels": 16,
    "proposals.train_pre_nms": 200,
    "proposals.train_post_nms": 50,
    "proposals.test_pre_nms": 100,
    "proposals.test_post_nms": 20,
    "roi.num_samples": 16,
    "roi.head_units": 16,
    "detections.score_threshold": 0.001,
    "detections.max_per_image": 5,
    "train.epochs": 1,
    "train.keep_images": 1,
}
OVERRIDES = [word for n, v in SETTINGS.items() for word in ("--set", f"{n}={v}")]


@pytest.fixture(scope="module", autouse=True)
def operations_as_usual():
    """Keeps deterministic operations, once asked for, from staying on for all tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tf.config.experimental, "enable_op_determinism", lambda: None)
        yield


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """The folder of a small run of the quickstart, trained by the command."""
    folder = tmp_path_factory.mktemp("runs") / "small"
    arguments = ["train", str(QUICKSTART), "--output", str(folder), *OVERRIDES]
    assert main(arguments) == 0
    return folder


def failure_of(capsys, *arguments):
    """Returns the line that a command with bad input prints on standard error."""
    assert main([str(argument) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    (line,) = captured.err.splitlines()
    assert line.startswith("tf-frcnn: ")
    return line.removeprefix("tf-frcnn: ")


def test_training_leaves_everything_in_the_run_folder(run_folder):
    files = {str(p.relative_to(run_folder)) for p in run_folder.rglob("*.*")}
    assert {
        "config.yaml",
        "classes.txt",
        "problems.json",
        "log.csv",
        "metrics_test.json",
        "weights/best.weights.h5",
        "weights/last.weights.h5",
        "samples/shapes_1000000_00000.png",
        "pictures/epoch_001_shapes_1000000_00000.png",
        "pictures/test_shapes_2000000_00000.png",
        "export/1/saved_model.pb",
    } <= files
    assert any("tfevents" in file for file in files)
    assert not any("part" in Path(file).name for file in files)
    with (run_folder / "log.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert float(row["loss"]) > 0 and 0 <= float(row["val_mAP"]) <= 1


def test_an_evaluation_repeats_what_training_measured(run_folder, capsys):
    path = run_folder / "metrics_test.json"
    before = json.loads(path.read_text())
    assert main(["evaluate", str(run_folder), "--coco"]) == 0
    after = json.loads(path.read_text())
    assert "ap50" in after.pop("coco")
    assert json.dumps(after) == json.dumps(before)
    assert before["num_images"] == 4
    assert "Recall of the RPN's proposals" in capsys.readouterr().out


def test_the_name_of_a_configuration_means_its_run(monkeypatch):
    calls = []
    monkeypatch.setattr(workflow, "evaluate_run", lambda *a, **k: calls.append((a, k)))
    settings = ["--set", "evaluation.iou=0.7", "--split", "2007/test"]
    assert main(["evaluate", "runs/mine", *settings]) == 0
    assert main(["evaluate", "configs/mine.yaml"]) == 0
    plain = {"overrides": [], "coco": False}
    assert calls == [
        ((Path("runs/mine"), "2007/test"), plain | {"overrides": settings[1:2]}),
        ((Path("runs/mine"), "test"), plain),
    ]


def test_predictions_are_those_of_the_saved_model(run_folder, tmp_path):
    sample = run_folder / "samples" / "shapes_1000000_00000.png"
    output = tmp_path / "out"
    arguments = ["predict", str(run_folder), str(sample), "--min-score", "0"]
    assert main([*arguments, "--output", str(output)]) == 0
    assert Image.open(output / sample.name).size == Image.open(sample).size
    (entry,) = json.loads((output / "detections.json").read_text())
    assert entry["file"] == str(sample)
    reloaded = tf.saved_model.load(run_folder / "export" / "1")
    expected = reloaded.serving_default(tf.constant([sample.read_bytes()]))
    count = int(expected["num_detections"][0])
    assert count == len(entry["detections"]) > 0
    sides = np.tile([entry["height"], entry["width"]], 2)
    boxes = expected["detection_boxes"][0] * sides
    for row, own in enumerate(entry["detections"]):
        box = [own[side] for side in ("ymin", "xmin", "ymax", "xmax")]
        np.testing.assert_allclose(box, boxes[row], atol=0.1)
        name = expected["detection_class_names"][0, row].numpy().decode()
        assert own["class"] == name and name in SHAPE_CLASSES


def test_an_export_says_what_it_is_and_never_overwrites(run_folder, capsys, tmp_path):
    arguments = ["export", str(run_folder), str(tmp_path), "--version", "4"]
    settings = ["--score-threshold", "0.002", "--max-detections", "3"]
    assert main([*arguments, *settings, "--class-agnostic-nms"]) == 0
    info = json.loads((tmp_path / "4" / "model_info.json").read_text())
    assert info["classes"] == list(SHAPE_CLASSES) and info["max_megapixels"] == 50
    assert info["config"]["data"]["num_train"] == 8
    detections = info["config"]["detections"]
    assert detections["score_threshold"] == 0.002 and detections["max_per_image"] == 3
    assert detections["class_agnostic_nms"] is True
    metrics = json.loads((run_folder / "metrics_test.json").read_text())
    assert info["metrics_test"] == metrics and "mAP" in metrics["voc"]
    reloaded = tf.saved_model.load(tmp_path / "4")
    output = reloaded.image_tensor(tf.zeros([2, 50, 60, 3], tf.uint8))
    assert output["detection_boxes"].shape == (2, 3, 4)
    assert failure_of(capsys, *arguments) == (
        f"{tmp_path / '4'} exists, and a version is never overwritten; the next free "
        "one is 5."
    )
    assert [path.name for path in tmp_path.iterdir()] == ["4"]


def test_a_run_can_be_resumed_by_the_command(run_folder, monkeypatch):
    calls = []
    monkeypatch.setattr(workflow, "run_training", lambda *a, **k: calls.append((a, k)))
    assert main(["train", str(QUICKSTART), "--resume", "--set", "seed=3"]) == 0
    config = load_config(QUICKSTART, ["seed=3"])
    settings = {"resume": True, "init": None}
    assert calls == [((config, Path("runs/quickstart")), settings)]


def test_the_effective_configuration_is_a_configuration(capsys, tmp_path):
    settings = ["--set", "train.epochs=3", "--set", "roi.dropout=0.25"]
    assert main(["show-config", str(QUICKSTART), *settings]) == 0
    shown = capsys.readouterr().out
    (tmp_path / "shown.yaml").write_text(shown)
    loaded = load_config(tmp_path / "shown.yaml")
    assert loaded == load_config(QUICKSTART, settings[1::2])
    assert loaded.train.epochs == 3 and loaded.roi.dropout == 0.25
    # Also what the file does not name is shown.
    assert "foreground_iou: 0.5" in shown


def test_the_module_is_the_command():
    command = [sys.executable, "-m", "tf_frcnn", "show-config", str(QUICKSTART)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and "name: tiny" in done.stdout


def test_made_shapes_are_read_back(tmp_path, capsys):
    counts = ["--train", "3", "--validation", "2", "--test", "1", "--seed", "7"]
    assert main(["make-shapes", str(tmp_path), *counts]) == 0
    assert f"{tmp_path}: validation, 2 pictures." in capsys.readouterr().out
    read = read_voc(tmp_path, "train", class_names=SHAPE_CLASSES)
    made = make_shapes(3, seed=7)
    assert len(read.records) == 3
    for own, drawn in zip(read.records, made.records, strict=True):
        np.testing.assert_array_equal(own.boxes, drawn.boxes)
        np.testing.assert_array_equal(own.labels, drawn.labels)
    everything = read_voc(tmp_path, "train+validation+test", class_names=SHAPE_CLASSES)
    assert len(everything.records) == 6


def test_a_setting_that_is_not_allowed_is_named(capsys):
    line = failure_of(capsys, "train", QUICKSTART, "--set", "rpn.positive_iou=1.7")
    assert line == "--set: rpn.positive_iou = 1.7 must lie in (0, 1]."
    line = failure_of(capsys, "show-config", QUICKSTART, "--set", "train.epoch=1")
    assert "did you mean train.epochs?" in line


def test_a_missing_configuration_is_named(capsys, tmp_path):
    line = failure_of(capsys, "train", tmp_path / "none.yaml")
    assert str(tmp_path / "none.yaml") in line and "No such file" in line


@pytest.mark.parametrize("command", ["evaluate", "export", "predict"])
def test_a_missing_run_is_named(capsys, tmp_path, command):
    further = [] if command == "evaluate" else [tmp_path / "further"]
    line = failure_of(capsys, command, tmp_path / "nowhere", *further)
    assert f"{tmp_path / 'nowhere'} is no run folder" in line
    assert not (tmp_path / "further").exists()


def test_a_run_that_exists_is_not_begun_anew(capsys, run_folder):
    line = failure_of(capsys, "train", QUICKSTART, "--output", run_folder)
    assert line.startswith(f"{run_folder} holds a run already") and "--resume" in line
    line = failure_of(
        capsys, "train", QUICKSTART, "--output", run_folder / "none", "--resume"
    )
    assert "there is nothing to resume" in line


def test_a_missing_picture_is_named(capsys, run_folder, tmp_path):
    line = failure_of(capsys, "predict", run_folder, tmp_path / "none.jpg")
    assert line.startswith(f"{tmp_path / 'none.jpg'}: no image found")


def test_a_setting_that_fits_no_network_is_an_error_that_names_the_file(
    capsys, tmp_path
):
    settings = ("--output", tmp_path, "--set", "backbone.name=tinny", *OVERRIDES)
    line = failure_of(capsys, "train", QUICKSTART, *settings)
    assert line.startswith(f"{QUICKSTART}: backbone.name = 'tinny' is no trunk; did")


def test_an_unknown_split_is_named(capsys, run_folder):
    line = failure_of(capsys, "evaluate", run_folder, "--split", "trainval")
    assert line.startswith("split = 'trainval'")


def test_weights_that_do_not_fit_the_settings_are_an_error_in_one_line(
    capsys, run_folder
):
    line = failure_of(capsys, "evaluate", run_folder, "--set", "rpn.channels=24")
    assert "best.weights.h5" in line


def test_where_an_error_was_raised_is_shown_if_asked_for(tmp_path):
    with pytest.raises(FileNotFoundError, match="no run folder"):
        main(["--traceback", "evaluate", str(tmp_path)])


@pytest.mark.parametrize("arguments", [[], ["fly"], ["evaluate"], ["make-shapes"]])
def test_a_command_that_is_not_understood_ends_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert "usage: tf-frcnn" in capsys.readouterr().err
