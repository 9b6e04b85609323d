import json
from pathlib import Path

import pytest
import tensorflow as tf

import tf_frcnn.export
from tests.helpers.command_line import failure_of
from tf_frcnn.cli import main
from tf_frcnn.commands import export
from tf_frcnn.commands.export import export_run
from tf_frcnn.data import SHAPE_CLASSES

pytestmark = pytest.mark.usefixtures("eager_steps")

NOTHING = {"overrides": [], "version": None, "calibrate": None}


@pytest.fixture
def calls(monkeypatch):
    """The settings of each export that is asked for; none is made."""
    calls = []

    def export_run(run, target, **settings):
        calls.append(settings)
        return target / run.name

    monkeypatch.setattr(export, "check_run", lambda *run: None)
    monkeypatch.setattr(export, "export_run", export_run)
    return calls


def test_an_export_goes_where_it_is_told(calls, capsys):
    assert main(["export", "runs/mine", "models/new"]) == 0
    assert capsys.readouterr().out == "SavedModel: models/new/mine\n"
    options = ["--version", "7", "--score-threshold", "0.25", "--max-detections", "9"]
    options += ["--class-agnostic-nms", "--max-megapixels", "12.5"]
    options += ["--tiles", "480x640", "--tile-overlap", "0.5", "--no-whole-image"]
    assert main(["export", "runs/mine", "models/new", *options]) == 0
    overrides = ["score_threshold=0.25", "max_per_image=9", "class_agnostic_nms=true"]
    overrides = [f"detections.{setting}" for setting in overrides]
    overrides.insert(2, "tiles.max_per_image=9")
    overrides += [
        "tiles.size=[480, 640]",
        "tiles.overlap=0.5",
        "tiles.whole_image=false",
    ]
    assert calls == [
        {"file_format": "savedmodel", **NOTHING},
        {
            "file_format": "savedmodel",
            "overrides": overrides,
            "version": 7,
            "calibrate": None,
            "max_megapixels": 12.5,
        },
    ]


def test_an_export_for_another_runtime_takes_a_canvas(calls, capsys):
    arguments = ["export", "runs/mine", "models/new", "--format"]
    assert main([*arguments, "onnx"]) == 0
    assert capsys.readouterr().out == "ONNX: models/new/mine\n"
    assert main([*arguments, "tflite", "--canvas", "320x416"]) == 0
    int8 = ["--weights", "int8", "--calibrate", "photos"]
    assert main([*arguments, "onnx", *int8]) == 0
    assert calls == [
        {"file_format": "onnx", **NOTHING},
        {"file_format": "tflite", **NOTHING, "canvas": (320, 416)},
        {
            "file_format": "onnx",
            **NOTHING,
            "weights": "int8",
            "calibrate": Path("photos"),
        },
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--canvas", "320x416"], "--canvas needs --format onnx or tflite"),
        (["--weights", "int8"], "--weights needs --format onnx or tflite"),
        (
            ["--format", "tflite", "--weights", "int8", "--calibrate", "photos"],
            "--calibrate needs --format onnx --weights int8",
        ),
        (
            ["--format", "onnx", "--max-megapixels", "9"],
            "--max-megapixels needs --format savedmodel",
        ),
        (["--tile-overlap", "0.5"], "--tile-overlap 0.5 needs --tiles HEIGHTxWIDTH"),
        (["--no-whole-image"], "--no-whole-image needs --tiles HEIGHTxWIDTH"),
        (["--format", "onnx", "--tiles", "8x9"], "--tiles needs --format savedmodel"),
    ],
)
def test_settings_of_other_formats_are_refused(options, message, capsys):
    assert main(["export", "runs/mine", "models/new", *options]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("canvas", ["320", "320x", "0x416", "3.5x4", "1x2x3"])
@pytest.mark.parametrize("option", ["--canvas", "--tiles"])
def test_sides_that_are_none_are_refused(option, canvas, capsys):
    with pytest.raises(SystemExit):
        main(["export", "runs/mine", "models/new", option, canvas])
    assert "must be HEIGHTxWIDTH in pixels" in capsys.readouterr().err


def test_an_export_says_what_it_is_and_never_overwrites(trained_run, capsys, tmp_path):
    arguments = ["export", str(trained_run), str(tmp_path), "--version", "4"]
    settings = ["--score-threshold", "0.002", "--max-detections", "3"]
    assert main([*arguments, *settings, "--class-agnostic-nms"]) == 0
    info = json.loads((tmp_path / "4" / "model_info.json").read_text())
    assert info["classes"] == list(SHAPE_CLASSES) and info["max_megapixels"] == 50
    assert info["config"]["data"]["num_train"] == 8
    detections = info["config"]["detections"]
    assert detections["score_threshold"] == 0.002 and detections["max_per_image"] == 3
    assert detections["class_agnostic_nms"] is True
    metrics = json.loads((trained_run / "metrics_test.json").read_text())
    assert info["metrics_test"] == metrics and "mAP" in metrics["voc"]
    reloaded = tf.saved_model.load(tmp_path / "4")
    output = reloaded.image_tensor(tf.zeros([2, 50, 60, 3], tf.uint8))
    assert output["detection_boxes"].shape == (2, 3, 4)
    assert failure_of(capsys, *arguments) == (
        f"{tmp_path / '4'} exists, and a version is never overwritten; the next free "
        "one is 5."
    )
    assert [path.name for path in tmp_path.iterdir()] == ["4"]


@pytest.mark.slow
def test_an_export_is_tried_on_the_samples_of_the_run(
    random_run, photos, monkeypatch, tmp_path
):
    (random_run / "samples").mkdir()
    sample = random_run / "samples" / "one.png"
    sample.write_bytes((photos / "small.png").read_bytes())
    calls = []

    def export_model(model, resizing, target, samples, *, info, version):
        source = samples.records[0].source
        calls.append((model.class_names, resizing.canvases, source, version))
        assert model.roi_head.detections.max_per_image == 5
        assert info["config"]["detections"]["max_per_image"] == 5
        return target / "1"

    monkeypatch.setattr(tf_frcnn.export, "export_model", export_model)
    overrides = ["detections.max_per_image=5"]
    exported = export_run(random_run, tmp_path, overrides=overrides, version=3)
    assert exported == tmp_path / "1"
    assert calls == [(SHAPE_CLASSES, ((128, 128),), str(sample), 3)]
