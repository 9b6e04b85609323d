import json

import numpy as np
import pytest

from tf_frcnn.evaluation import evaluate_coco, evaluate_voc
from tf_frcnn.report.contents import report_on
from tf_frcnn.runs.reports import without_nan


def rows_of(report):
    return {row["name"]: row for row in report.tree["causes"]}


def test_every_miss_and_false_alarm_has_a_cause(report, seen):
    rows = report.tree["causes"]
    found = {(row["group"], row["name"]): row["number"] for row in rows}
    assert found == {
        ("miss", "anchor"): 1,
        ("miss", "class"): 1,
        ("miss", "nms"): 1,
        ("false alarm", "duplicate"): 1,
        ("false alarm", "class"): 1,
        ("false alarm", "box"): 1,
        ("false alarm", "background"): 1,
    }
    assert report.tree["num_missed"] == 3


def test_costs_are_what_mending_alone_wins(report, seen, examples):
    (row,) = [r for r in report.tree["causes"] if r["name"] == "background"]
    kept = seen.found.scores != 0.99
    mended = type(seen.found)(*(column[kept] for column in seen.found))
    mean = evaluate_voc(seen.truth, mended, 4).mean
    assert row["cost"] == pytest.approx(mean - report.tree["mAP"]) and row["cost"] > 0


def test_sides_are_the_networks(report, seen):
    box = seen.truth.boxes[5]
    side = np.sqrt(np.prod(box[2:] - box[:2])) * 2
    assert rows_of(report)["anchor"]["sides"] == pytest.approx([side] * 3, abs=0.06)


def test_the_figures_are_those_of_the_metrics(report, seen):
    tree = report.tree
    area = evaluate_voc(seen.truth, seen.found, 4, metric="area", iou_threshold=0.75)
    own = [row["ap_by_iou"]["0.75"] for row in tree["classes"]]
    np.testing.assert_allclose(own, area.average_precisions)
    assert tree["coco"]["ap"] == evaluate_coco(seen.truth, seen.found, 4).ap
    assert len(tree["coco"]) == 12
    for name in ("file", "network"):
        rows = tree["sizes"][name]
        assert sum(row["num_objects"] for row in rows) == tree["num_objects"]
        assert all(row["num_objects"] for row in rows)
    sides = [tree["sizes"][n][0]["from"] for n in ("file", "network")]
    assert sides[1] == 2 * sides[0]
    # All objects, and what is detected with a sufficient score on none of them.
    matrix = np.array(tree["confusion"]["matrix"])
    assert matrix[:-1].sum() == tree["num_objects"] and matrix[-1].sum() >= 1
    assert tree["confusion"]["pairs"][0]["number"] == 1
    assert sum(row["number"] for row in tree["calibration"]["bins"]) == len(
        seen.found.labels
    )


def test_a_curve_has_the_first_of_the_detections_of_a_recall(report, seen, examples):
    result = evaluate_voc(seen.truth, seen.found, 4)
    for label, row in enumerate(report.tree["classes"]):
        recalls, precisions = result.recalls[label], result.precisions[label]
        assert (
            row["curve"]["recall"] == np.unique(recalls[recalls > 0]).round(4).tolist()
        )
        for recall, precision in zip(*row["curve"].values(), strict=True):
            own = precisions[np.isclose(recalls, recall, atol=1e-4)]
            assert precision == pytest.approx(own.max(), abs=1e-4)


def test_thresholds_reach_the_precision_that_is_asked_for(examples, seen, model_of):
    model = model_of(examples.class_names)
    for precision in (0.5, 1.0):
        tree = report_on(model, examples, seen, precision).tree
        assert tree["precision"] == precision
        points = [row["at_precision"] for row in tree["classes"]]
        assert any(points)
        for point in filter(None, points):
            assert point["precision"] >= precision


def test_the_misses_are_listed_and_all_is_json(report, examples, seen):
    assert [row["stage"] for row in report.tree["missed"]] == [*seen.stages]
    image = seen.truth.image_index[5]
    assert report.tree["missed"][2]["image"] == examples.records[image].image_id
    text = json.dumps(without_nan(report.tree), allow_nan=False)
    assert json.loads(text)["num_images"] == 10


def test_cocos_metric_is_replaced_by_one_at_which_misses_have_stages(
    examples, seen, model_of
):
    model = model_of(examples.class_names, evaluation={"metric": "coco"})
    assert report_on(model, examples, seen, 0.9).tree["metric"] == "area"


def test_a_detector_that_finds_nothing_has_a_report(examples, seen, model_of):
    none = type(seen.found)(*(column[:0] for column in seen.found))
    count = len(seen.truth.labels)
    blind = seen._replace(
        found=none,
        missed=np.arange(count),
        stages=np.full(count, "background", object),
        trials=dict.fromkeys(seen.trials, none),
    )
    report = report_on(model_of(examples.class_names), examples, blind, 0.9)
    (row,) = report.tree["causes"]
    assert row["cost"] == pytest.approx(1) and report.tree["mAP"] == 0
    assert report.tree["advice"][0]["cause"]["name"] == "background"
