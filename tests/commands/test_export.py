"""The options of the command `export`."""

import pytest

from tf_frcnn.cli import main
from tf_frcnn.commands import workflow


@pytest.fixture
def calls(monkeypatch):
    """The settings of each export that is asked for; none is made."""
    calls = []

    def export_run(run, target, **settings):
        calls.append(settings)
        return target / run.name

    monkeypatch.setattr(workflow, "export_run", export_run)
    return calls


def test_an_export_goes_where_it_is_told(calls, capsys):
    assert main(["export", "runs/mine", "models/new"]) == 0
    assert capsys.readouterr().out == "SavedModel: models/new/mine\n"
    options = ["--version", "7", "--score-threshold", "0.25", "--max-detections", "9"]
    options += ["--class-agnostic-nms", "--max-megapixels", "12.5"]
    assert main(["export", "runs/mine", "models/new", *options]) == 0
    overrides = ["score_threshold=0.25", "max_per_image=9", "class_agnostic_nms=true"]
    overrides = [f"detections.{setting}" for setting in overrides]
    assert calls == [
        {"file_format": "savedmodel", "overrides": [], "version": None},
        {
            "file_format": "savedmodel",
            "overrides": overrides,
            "version": 7,
            "max_megapixels": 12.5,
        },
    ]


def test_an_export_for_another_runtime_takes_a_canvas(calls, capsys):
    arguments = ["export", "runs/mine", "models/new", "--format"]
    assert main([*arguments, "onnx"]) == 0
    assert capsys.readouterr().out == "ONNX: models/new/mine\n"
    assert main([*arguments, "tflite", "--canvas", "320x416"]) == 0
    common = {"overrides": [], "version": None}
    assert calls == [
        {"file_format": "onnx", **common},
        {"file_format": "tflite", **common, "canvas": (320, 416)},
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--canvas", "320x416"], "--canvas needs --format onnx or tflite"),
        (
            ["--format", "onnx", "--max-megapixels", "9"],
            "--max-megapixels needs --format savedmodel",
        ),
    ],
)
def test_settings_of_other_formats_are_refused(options, message, capsys):
    assert main(["export", "runs/mine", "models/new", *options]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("canvas", ["320", "320x", "0x416", "3.5x4", "1x2x3"])
def test_a_canvas_that_is_none_is_refused(canvas, capsys):
    with pytest.raises(SystemExit):
        main(["export", "runs/mine", "models/new", "--canvas", canvas])
    assert "must be HEIGHTxWIDTH in pixels" in capsys.readouterr().err
