import json
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.random_run import config_in, write_random_run
from tf_frcnn.assembly import build_examples
from tf_frcnn.data import SHAPE_CLASSES
from tf_frcnn.evaluation import DetectedBoxes
from tf_frcnn.evaluation.proposal_recall import ProposedBoxes
from tf_frcnn.models.evaluating import ground_truth_of
from tf_frcnn.runs import evaluation
from tf_frcnn.runs.evaluation import evaluate_detections, evaluate_run
from tf_frcnn.runs.inference import load_run
from tf_frcnn.runs.predictions import list_detections
from tf_frcnn.runs.reports import run_info


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    return write_random_run(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def half_seeing(monkeypatch):
    """Makes the commands find the first half of the objects, and propose all."""

    def observe_and_propose(model, examples):
        truth = ground_truth_of(examples)
        columns = (truth.image_index, truth.boxes, np.ones(len(truth.labels)))
        half = slice(len(truth.labels) // 2)
        found = (column[half] for column in (*columns, truth.labels))
        return truth, DetectedBoxes(*found), ProposedBoxes(*columns)

    monkeypatch.setattr(evaluation, "observe_and_propose", observe_and_propose)


def test_the_metrics_are_written_and_printed(run_folder, half_seeing, capsys, tmp_path):
    metrics = evaluate_run(run_folder, "test", coco=True)
    written = json.loads((run_folder / "metrics_test.json").read_text())
    assert json.dumps(written) == json.dumps(metrics)
    truth = ground_truth_of(build_examples(config_in(tmp_path), "test"))
    found = truth.labels[: len(truth.labels) // 2].tolist()
    assert metrics["num_images"] == 3 and len(found) > 0
    aps = []
    for label, name in enumerate(SHAPE_CLASSES):
        objects = truth.labels.tolist().count(label)
        row = metrics["voc"]["classes"][name]
        assert row["objects"] == objects
        if objects:  # all that is found is right, so the area is the recall
            aps.append(found.count(label) / objects)
            assert row["area"] == pytest.approx(aps[-1])
    assert metrics["voc"]["mAP"]["area"] == pytest.approx(np.mean(aps))
    assert metrics["voc"]["mAP_area_50_95"] == pytest.approx(np.mean(aps))
    # COCO samples the precision at 101 recalls.
    assert metrics["coco"]["ap50"] == pytest.approx(np.mean(aps), abs=0.02)
    recall = metrics["proposal_recall"]
    np.testing.assert_array_equal(recall["recalls"], np.ones([5, 10]))
    np.testing.assert_allclose(recall["average_recalls"], 1)
    printed = capsys.readouterr().out
    assert f"{np.mean(aps):.3f}" in printed and "cross" in printed
    names = {path.name for path in (run_folder / "drawings").iterdir()}
    assert names == {f"test_shapes_2000000_0000{n}.png" for n in (0, 1)}


@pytest.mark.slow
def test_stored_detections_have_the_figures_of_the_run(
    run_folder, half_seeing, tmp_path, capsys
):
    examples = build_examples(config_in(tmp_path), "test")
    _, found, _ = evaluation.observe_and_propose(None, examples)
    assert len(found.labels) > 0
    with (tmp_path / "list.jsonl").open("w") as lines:
        for row, record in enumerate(examples.records):
            own = DetectedBoxes(*(c[found.image_index == row] for c in found))
            entry = {"file": record.source, "height": record.height}
            entry["width"] = record.width
            entry["detections"] = list_detections(own, SHAPE_CLASSES)
            lines.write(json.dumps(entry) + "\n")
    settings = {"overrides": ["evaluation.iou=0.6"], "coco": True}
    expected = evaluate_run(run_folder, "test", **settings)
    before = sorted(run_folder.glob("*"))
    words = str(tmp_path / "list.jsonl")
    metrics = evaluate_detections(run_folder, "test", [words], **settings)
    del expected["proposal_recall"]
    assert metrics == expected | {"detections": [words]}
    assert metrics["voc"]["mAP"]["area"] > 0
    # It names the place, which is none of the run's own figures.
    told = "".join(capsys.readouterr().out.splitlines()).rpartition("detections: ")[2]
    assert json.loads(Path(told).read_text()) == metrics
    assert list(Path(told).parent.glob("drawings/test_*.png"))
    assert sorted(run_folder.glob("*")) == before


def test_the_metrics_are_json_that_any_program_reads(run_folder, half_seeing):
    # Of one picture's objects not every class is there: its precision is undefined.
    settings = ["data.num_validation=1"]
    evaluate_run(run_folder, "validation", overrides=settings)
    (path,) = run_folder.glob("evaluations/*/metrics_validation.json")
    text = path.read_text()

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON.")

    precisions = json.loads(text, parse_constant=refuse)["voc"]["classes"].values()
    assert None in [row["area"] for row in precisions]


def test_files_of_a_part_of_a_split_have_a_name_on_every_system(
    run_folder, half_seeing
):
    metrics = evaluate_run(run_folder, "test[:50%]")
    written = json.loads((run_folder / "metrics_test[_50%].json").read_text())
    assert written == metrics
    assert list(run_folder.glob("drawings/test?_50%?_*.png"))


def test_settings_of_a_run_may_be_replaced_in_an_evaluation(run_folder, half_seeing):
    settings = ["evaluation.iou=0.75", "evaluation.metric=area", "data.num_test=1"]
    metrics = evaluate_run(run_folder, "test", overrides=settings)
    assert metrics["voc"]["iou_threshold"] == 0.75 and metrics["num_images"] == 1
    assert metrics["voc"]["validation_metric"] == "area"


def test_the_thresholds_of_the_classes_do_not_cut_curves_off(
    run_folder, half_seeing, monkeypatch
):
    loaded = []
    monkeypatch.setattr(
        evaluation,
        "load_run",
        lambda *a: loaded.append(load_run(*a)) or loaded[0],
    )
    evaluate_run(run_folder, "test", overrides=["data.num_test=1"])
    assert loaded[0].config.detections.class_thresholds == ()


def test_thresholds_are_those_of_the_runs_own_settings_and_of_a_report(run_folder):
    for settings in ({}, {"report_precision": 0.9, "overrides": ["seed=1"]}):
        with pytest.raises(ValueError, match="needs --report, and the run's own"):
            evaluate_run(run_folder, "test", thresholds_by="f1", **settings)


@pytest.mark.slow
def test_a_report_follows_one_pass_through_the_network(run_folder):
    with pytest.raises(ValueError, match=r"--report with tiles.size = \[8, 9\]"):
        evaluate_run(
            run_folder, "test", overrides=["tiles.size=[8,9]"], report_precision=0.9
        )


def test_a_report_lies_beside_the_metrics_and_has_their_map(tmp_path, capsys):
    run_folder = write_random_run(tmp_path)
    metrics = evaluate_run(run_folder, "test", report_precision=0.8, thresholds_by="f1")
    report = json.loads((run_folder / "report_test.json").read_text())
    assert report["mAP"] == metrics["voc"]["mAP"]["11-point"]
    assert report["precision"] == 0.8 and report["num_images"] == 3
    assert report["num_missed"] == len(report["missed"]) > 0
    misses = [row for row in report["causes"] if row["group"] == "miss"]
    assert sum(row["number"] for row in misses) == report["num_missed"]
    page = (run_folder / "report_test.html").read_text()
    assert "Where the mAP is lost" in page
    printed = capsys.readouterr().out
    assert f"{run_folder / 'report_test.html'}" in "".join(printed.split("\n"))
    assert report["advice"][0]["finding"] in printed
    best = [row["best_f1"] for row in report["classes"]]
    config = load_run(run_folder).config
    assert config.detections.class_thresholds == pytest.approx(
        [own["threshold"] if own else 0.5 for own in best], abs=1e-6
    )
    # With them the curves are what they were.
    again = evaluate_run(run_folder, "test")
    assert again["voc"] == metrics["voc"]


@pytest.mark.slow
def test_other_settings_change_nothing_of_the_runs_own_results(
    half_seeing, tmp_path, capsys
):
    folder = write_random_run(tmp_path)
    evaluate_run(folder, "test")
    own = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    settings = ["evaluation.iou=0.75", "data.num_test=1"]
    for number in (1, 2):
        metrics = evaluate_run(folder, "test", overrides=settings)
        assert metrics["settings"] == settings
        new = folder / "evaluations" / str(number)
        assert json.loads((new / "metrics_test.json").read_text()) == metrics
        assert len(list((new / "drawings").iterdir())) == 1
        printed = " ".join(capsys.readouterr().out.split())
        assert f"{new / 'metrics_test.json'}" in printed
    assert {path: path.read_bytes() for path in own} == own
    info = run_info(load_run(folder))["metrics_test"]
    assert info["num_images"] == 3 and "settings" not in info


@pytest.mark.slow
def test_cocos_figures_are_there_where_they_are_the_metric(run_folder, half_seeing):
    settings = ["evaluation.metric=coco", "data.num_test=1"]
    metrics = evaluate_run(run_folder, "test", overrides=settings)
    assert metrics["coco"]["ap"] > 0
    assert metrics["voc"]["validation_metric"] == "coco"
    assert "coco" not in evaluate_run(run_folder, "test", overrides=settings[1:])
