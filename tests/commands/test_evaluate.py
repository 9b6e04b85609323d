import json
from pathlib import Path

import pytest

from tests.helpers.command_line import failure_of
from tf_frcnn import commands
from tf_frcnn.cli import main
from tf_frcnn.runs import evaluation

pytestmark = pytest.mark.usefixtures("eager_steps")


def test_an_evaluation_repeats_what_training_measured(trained_run, capsys):
    path = trained_run / "metrics_test.json"
    before = json.loads(path.read_text())
    assert main(["evaluate", str(trained_run), "--coco"]) == 0
    after = json.loads(path.read_text())
    assert "ap50" in after.pop("coco")
    assert json.dumps(after) == json.dumps(before)
    assert before["num_images"] == 4
    assert "Recall of the RPN's proposals" in capsys.readouterr().out


def test_the_name_of_a_configuration_means_its_run(monkeypatch):
    calls = []
    monkeypatch.setattr(commands.evaluate, "check_run", lambda *run: None)
    monkeypatch.setattr(
        evaluation, "evaluate_run", lambda *a, **k: calls.append((a, k))
    )
    settings = ["--set", "evaluation.iou=0.7", "--split", "2007/test"]
    assert main(["evaluate", "runs/mine", *settings]) == 0
    assert main(["evaluate", "configs/mine.yaml"]) == 0
    assert main(["evaluate", "runs/mine", "--report"]) == 0
    assert main(["evaluate", "runs/mine", "--report", "--precision", "0.75"]) == 0
    plain = {
        "overrides": [],
        "coco": False,
        "report_precision": None,
        "thresholds_by": None,
    }
    assert calls == [
        ((Path("runs/mine"), "2007/test"), plain | {"overrides": settings[1:2]}),
        ((Path("runs/mine"), "test"), plain),
        ((Path("runs/mine"), "test"), plain | {"report_precision": 0.9}),
        ((Path("runs/mine"), "test"), plain | {"report_precision": 0.75}),
    ]


@pytest.mark.parametrize("precision", ["0", "1.5", "much"])
def test_a_precision_is_a_share(precision, capsys):
    with pytest.raises(SystemExit):
        main(["evaluate", "runs/mine", "--report", "--precision", precision])
    assert f"{precision!r} must be a number in (0, 1]" in capsys.readouterr().err


@pytest.mark.parametrize("more", [[], ["--detections", "list.jsonl"]])
def test_a_precision_without_a_report_is_an_error(more, capsys):
    words = ["evaluate", "runs/mine", "--precision", "0.8", *more]
    line = failure_of(capsys, *words)
    assert line == "--precision 0.8 is for the report; add --report."


def test_an_unknown_split_is_named(capsys, trained_run):
    line = failure_of(capsys, "evaluate", trained_run, "--split", "trainval")
    assert line.startswith("split = 'trainval'")


def test_weights_that_do_not_fit_the_settings_are_an_error_in_one_line(
    capsys, trained_run
):
    line = failure_of(capsys, "evaluate", trained_run, "--set", "rpn.channels=24")
    assert "best.weights.h5" in line
