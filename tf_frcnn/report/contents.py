"""All that a report says, as a tree of numbers and texts."""

from typing import Any, NamedTuple

import numpy as np

from tf_frcnn.data import ExampleSet
from tf_frcnn.evaluation import COCO_METRIC, Judgement, judge_voc
from tf_frcnn.evaluation.false_alarms import FalseAlarms, false_alarms
from tf_frcnn.models import FasterRCNN
from tf_frcnn.models.evaluating import metric_of
from tf_frcnn.report.advice import Advice, advice_on
from tf_frcnn.report.causes import FALSE_ALARM, Cause, causes_of
from tf_frcnn.report.figures import (
    Thresholds,
    calibration,
    class_rows,
    coco_numbers,
    confusions,
    size_rows,
    thresholds_of,
    used_scores,
)
from tf_frcnn.report.observing import Observed, judging_of
from tf_frcnn.report.trials import trials_of


class Report(NamedTuple):
    """A detector's faults on a data set.

    Attributes:
        seen: objects, detections and misses.
        judged: the detections.
        alarms: what is wrong with the wrong ones.
        causes: of misses and false alarms.
        advice: on the costliest.
        thresholds: of each class.
        tree: all figures, as JSON can hold them.
    """

    seen: Observed
    judged: Judgement
    alarms: FalseAlarms
    causes: list[Cause]
    advice: list[Advice]
    thresholds: Thresholds
    tree: dict[str, Any]


def report_on(
    model: FasterRCNN, examples: ExampleSet, seen: Observed, precision: float
) -> Report:
    """Finds out where the mAP of a detector is lost.

    Args:
        model: the detector.
        examples: the data set.
        seen: the same, seen by the detector.
        precision: for which a threshold of each class is sought.
    """
    names, count = model.class_names, len(model.class_names)
    judging, metric = judging_of(model), voc_metric_of(model)
    truth, found, iou = seen.truth, seen.found, judging["iou_threshold"]
    judged = judge_voc(truth, found, **judging)
    alarms = false_alarms(truth, found, judged, count, iou)
    causes = causes_of(seen, alarms, count, **metric)
    thresholds = thresholds_of(truth, found, judged, count, precision)
    used = used_scores(found, thresholds.best_f1)
    trials = trials_of(seen, model.roi_head.detections.nms_iou, count, **metric)
    advice = advice_on(causes, model.settings, names, used, trials)
    tree = {
        "data": examples.name,
        "num_images": len(examples.records),
        "num_objects": int((~truth.difficult & ~truth.crowd).sum()),
        "num_detections": int(judged.counted.sum()),
        "num_missed": len(seen.missed),
        "num_below_best_f1": int((judged.right & ~used).sum()),
        "iou_threshold": iou,
        "metric": metric["metric"],
        "mAP": trials.mean,
        "precision": precision,
        "advice": [_advice_row(own) for own in advice],
        "causes": [_cause_row(cause, names, used) for cause in causes],
        "trials": {row.setting: row.mean for row in trials.rows},
        "classes": class_rows(seen, names, thresholds, **metric),
        "sizes": size_rows(seen, count),
        "coco": coco_numbers(seen, count),
        "calibration": calibration(found, judged),
        "confusion": confusions(seen, names, thresholds.best_f1, iou),
        "missed": _misses(seen, examples),
    }
    return Report(seen, judged, alarms, causes, advice, thresholds, tree)


def _misses(seen: Observed, examples: ExampleSet) -> list[dict[str, Any]]:
    """Returns every missed object with its stage."""
    truth = seen.truth
    return [
        {
            "image": examples.records[truth.image_index[row]].image_id,
            "class": examples.class_names[truth.labels[row]],
            "box": np.round(truth.boxes[row], 1).tolist(),
            "stage": stage,
        }
        for row, stage in zip(seen.missed, seen.stages, strict=True)
    ]


def voc_metric_of(model: FasterRCNN) -> dict[str, Any]:
    """Returns the keyword arguments of `evaluate_voc` of a model's recipe.

    COCO's metric, of many IoU, is replaced by the area at one, at which an object is
    missed or not.
    """
    own = metric_of(model)
    return own | {"metric": "area"} if own["metric"] == COCO_METRIC else own


def _advice_row(advice: Advice) -> dict[str, Any]:
    own = advice._asdict() | {"settings": list(advice.settings)}
    cause = {name: getattr(advice.cause, name) for name in ("group", "name", "title")}
    return own | {"cause": cause}


def _cause_row(
    cause: Cause, names: tuple[str, ...], used: np.ndarray
) -> dict[str, Any]:
    row = {
        "group": cause.group,
        "name": cause.name,
        "title": cause.title,
        "number": len(cause.rows),
        "cost": cause.cost,
        "classes": cause.by_class(names),
        "sides": np.quantile(cause.sides, (0.05, 0.5, 0.95)).round(1).tolist(),
    }
    if cause.group == FALSE_ALARM:
        row["number_used"] = int(used[cause.rows].sum())
    return row
