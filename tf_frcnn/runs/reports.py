"""The results of an evaluation, as a tree of numbers and as tables."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import yaml
from rich.console import Console
from rich.table import Table

from tf_frcnn.config import dump_config
from tf_frcnn.evaluation import (
    COCO_METRIC,
    METRICS,
    DetectedBoxes,
    GroundTruth,
    evaluate_coco,
    evaluate_voc,
    proposal_recall,
)
from tf_frcnn.evaluation.proposal_recall import ProposedBoxes
from tf_frcnn.runs.inference import Run, weights_checksum

# Wide enough for the tables also where the output is a file.
_CONSOLE = Console(width=100)


def run_info(run: Run) -> dict:
    """Returns a run's configuration and, if measured, its test metrics.

    All values can be written as JSON. `weights` is the checksum of theirs.
    """
    info = {"config": yaml.safe_load(dump_config(run.config))}
    info["weights"] = weights_checksum(run.directory)
    metrics = run.directory / "metrics_test.json"
    if metrics.is_file():
        info["metrics_test"] = json.loads(metrics.read_text())
    return info


def detection_metrics(
    settings: Mapping[str, Any],
    class_names: Sequence[str],
    truth: GroundTruth,
    found: DetectedBoxes,
    *,
    coco: bool = False,
) -> dict:
    """Returns the VOC figures, and COCO's with `coco` or where they are the metric.

    Args:
        settings: of `metric_settings`.
        class_names: of the K classes.
        truth: the objects.
        found: the detections, in the same pixels.
        coco: whether COCO's figures are wanted in any case.
    """
    metrics = {"voc": _voc_metrics(dict(settings), class_names, truth, found)}
    if coco or settings["metric"] == COCO_METRIC:
        numbers = evaluate_coco(truth, found, len(class_names))._asdict()
        metrics["coco"] = {name: np.asarray(n).tolist() for name, n in numbers.items()}
    return metrics


def recall_metrics(truth: GroundTruth, proposed: ProposedBoxes) -> dict:
    """Returns the recall of the best proposals over IoU."""
    recall = proposal_recall(truth, proposed)
    numbers = {name: values.tolist() for name, values in recall._asdict().items()}
    return {"proposal_recall": numbers}


def without_nan(value):
    """Returns the tree with None for NaN, which JSON does not have."""
    if isinstance(value, dict):
        return {name: without_nan(part) for name, part in value.items()}
    if isinstance(value, list):
        return [without_nan(part) for part in value]
    return None if isinstance(value, float) and np.isnan(value) else value


def print_metrics(metrics: dict) -> None:
    """Prints the metrics as tables."""
    if "voc" in metrics:
        _print_voc(metrics["voc"], metrics["data"])
    if "proposal_recall" in metrics:
        _print_recall(metrics["proposal_recall"])
    if "coco" in metrics:
        numbers = [
            f"{name} {value:.3f}"
            for name, value in metrics["coco"].items()
            if not isinstance(value, list)
        ]
        _CONSOLE.print(f"COCO: {', '.join(numbers)}")


def _voc_metrics(settings: dict[str, Any], names, truth, found) -> dict:
    """Returns both VOC metrics at the run's IoU and the area metric over many."""
    chosen = settings.pop("metric")
    results = {
        metric: evaluate_voc(truth, found, len(names), metric=metric, **settings)
        for metric in METRICS
    }
    strict_ious = np.arange(50, 100, 5) / 100
    over_ious = [
        evaluate_voc(
            truth,
            found,
            len(names),
            **{**settings, "metric": "area", "iou_threshold": iou},
        ).mean
        for iou in strict_ious
    ]
    return {
        "iou_threshold": settings["iou_threshold"],
        "validation_metric": chosen,
        "mAP": {metric: result.mean for metric, result in results.items()},
        "mAP_area_50_95": float(np.mean(over_ious)),
        "classes": {
            name: {
                "objects": int(results["area"].num_objects[label]),
                **{m: float(r.average_precisions[label]) for m, r in results.items()},
            }
            for label, name in enumerate(names)
        },
    }


def _print_voc(voc: dict, data: str) -> None:
    iou = voc["iou_threshold"]
    table = Table(title=f"Average precision on {data}")
    headings = [f"AP {metric}, IoU {iou}" for metric in voc["mAP"]]
    for heading in ("class", "objects", *headings):
        table.add_column(heading, justify="left" if heading == "class" else "right")
    for name, row in voc["classes"].items():
        figures = [f"{row[metric]:.3f}" for metric in voc["mAP"]]
        table.add_row(name, str(row["objects"]), *figures)
    table.add_section()
    total = str(sum(row["objects"] for row in voc["classes"].values()))
    means = [f"{mean:.3f}" for mean in voc["mAP"].values()]
    table.add_row("mean (mAP)", total, *means)
    _CONSOLE.print(table)
    _CONSOLE.print(
        f"mAP, area, mean over IoU 0.50 to 0.95: {voc['mAP_area_50_95']:.3f}"
    )


def _print_recall(recall: dict) -> None:
    table = Table(title="Recall of the RPN's proposals")
    for heading in ("proposals", "IoU 0.5", "IoU 0.7", "IoU 0.9", "average recall"):
        table.add_column(heading, justify="right")
    for number, recalls, average in zip(
        recall["num_proposals"],
        recall["recalls"],
        recall["average_recalls"],
        strict=True,
    ):
        shown = [recalls[0], recalls[4], recalls[8], average]
        table.add_row(str(number), *(f"{value:.3f}" for value in shown))
    _CONSOLE.print(table)
