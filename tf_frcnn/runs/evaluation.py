"""The evaluation of a run on a split of its data."""

import contextlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tf_frcnn.assembly import Splits, build_plan
from tf_frcnn.config import Config, load_config
from tf_frcnn.data import ExampleSet
from tf_frcnn.drawing.comparisons import ComparisonImages
from tf_frcnn.evaluation import DetectedBoxes
from tf_frcnn.models.evaluating import (
    ground_truth_of,
    metric_of,
    metric_settings,
    observe,
    observe_and_propose,
    propose,
)
from tf_frcnn.report.contents import Report, report_on
from tf_frcnn.report.observing import observe_stages
from tf_frcnn.report.page import page_of
from tf_frcnn.runs.inference import load_detector, load_run
from tf_frcnn.runs.reports import (
    detection_metrics,
    print_metrics,
    recall_metrics,
    without_nan,
)
from tf_frcnn.runs.safe_files import write_text
from tf_frcnn.runs.settings_files import run_classes, run_config
from tf_frcnn.runs.stored_detections import read_detections
from tf_frcnn.runs.thresholds import write_thresholds
from tf_frcnn.runs.writing import write_image


def evaluate_run(
    directory: Path,
    split: str,
    *,
    overrides: Sequence[str] = (),
    coco: bool = False,
    splits: Splits | None = None,
    report_precision: float | None = None,
    thresholds_by: str | None = None,
) -> dict[str, Any]:
    """Measures a run on a split, prints tables, and writes them as JSON.

    Writes metrics_SPLIT.json and, of the first images, ground truth beside predictions
    into drawings/. With other settings than the run's both go into a new folder
    evaluations/1, evaluations/2, ... of the run, so that its own figures, which an
    export takes over, stay what they are.

    Args:
        directory: the run folder.
        split: "train", "validation", "test", or a split in the reader's terms.
        overrides: settings that replace those of the run.
        coco: adds COCO's figures where the metric is another one.
        splits: those of the run's configuration, if they were read already.
        report_precision: also writes report_SPLIT.html and report_SPLIT.json, which
            say why objects are missed, with score thresholds of this precision; None
            for no report.
        thresholds_by: writes the thresholds of the report into the run's settings, see
            `runs.thresholds`; None for not. The evaluation itself has none.

    Returns:
        The metrics that were written.

    Raises:
        ValueError: a report is asked for, of a model of one stage, or of one that cuts
            images into tiles; or thresholds are, of other settings than the run's, or
            without a report.
    """
    _check_thresholds(thresholds_by, report_precision, overrides)
    wants_report = report_precision is not None
    # A threshold would cut off the end of each class's curve.
    settings = ["detections.class_thresholds=[]", *overrides]
    run = (load_detector if wants_report else load_run)(directory, settings)
    if wants_report and run.config.tiles.size is not None:
        raise ValueError(
            f"--report with tiles.size = {list(run.config.tiles.size)}: it follows one "
            "pass through the network; add --set tiles.size=null."
        )
    examples = (splits or Splits(run.config)).read(split, run.model.class_names)
    examples.problems.print()
    metrics = _about(examples)
    if overrides:
        metrics["settings"] = list(overrides)
        directory = _new_folder(directory / "evaluations")
    seen = observe_stages(run.model, examples) if wants_report else None
    truth, found, proposals = seen[:3] if seen else _observe(run.model, examples)
    if found is not None:
        names, metric = run.model.class_names, metric_of(run.model)
        metrics |= detection_metrics(metric, names, truth, found, coco=coco)
        _draw(directory, split, run.config, examples, found)
    if proposals is not None:
        metrics |= recall_metrics(truth, proposals)
    metrics = _write(metrics, directory, split, is_own=not overrides)
    if seen and report_precision:
        report = report_on(run.model, examples, seen, report_precision)
        page = page_of(report, examples, str(run.directory))
        _write_report(report, page, directory / f"report_{_flat(split)}.json")
        if thresholds_by:
            write_thresholds(directory, report.thresholds, thresholds_by)
    return metrics


def _observe(model, examples):
    """Returns the objects, and the detections and proposals if a model has such."""
    if model.rpn is None:
        return *observe(model, examples), None
    if model.roi_head is None:
        truth = ground_truth_of(examples)
        return truth, None, propose(model, examples, training=True)
    return observe_and_propose(model, examples)


def evaluate_detections(
    directory: Path,
    split: str,
    patterns: Sequence[str],
    *,
    overrides: Sequence[str] = (),
    coco: bool = False,
) -> dict[str, Any]:
    """Measures the lists of `tf-frcnn predict` on a split, without the network.

    The figures are those of `evaluate_run`, but for the recall of proposals; they are
    written, with the drawings, into a new folder of the run's evaluations/.

    Args:
        directory: the run folder.
        split: of `evaluate_run`.
        patterns: the lists, of JSON lines or Parquet, or glob patterns of them.
        overrides: settings that replace those of the run.
        coco: adds COCO's figures where the metric is another one.

    Returns:
        The metrics that were written.

    Raises:
        ValueError: see `read_detections`.
    """
    config = load_config(run_config(directory), overrides)
    names = run_classes(directory)
    examples = Splits(config).read(split, names)
    examples.problems.print()
    found = read_detections(patterns, examples)
    metrics = _about(examples) | {"detections": list(patterns)}
    if overrides:
        metrics["settings"] = list(overrides)
    metrics |= detection_metrics(
        metric_settings(config), names, ground_truth_of(examples), found, coco=coco
    )
    directory = _new_folder(directory / "evaluations")
    _draw(directory, split, config, examples, found)
    return _write(metrics, directory, split, is_own=False)


def _about(examples: ExampleSet) -> dict[str, Any]:
    return {"data": examples.name, "num_images": len(examples.records)}


def _draw(
    directory: Path,
    split: str,
    config: Config,
    examples: ExampleSet,
    found: DetectedBoxes,
) -> None:
    """Draws the ground truth of the first images beside what was found in them."""
    comparisons = ComparisonImages(examples, build_plan(config).keep_images)
    for image_id, image in comparisons.drawn(found):
        path = directory / "drawings" / f"{_flat(split)}_{image_id}.png"
        write_image(path, image)


def _write(
    metrics: dict[str, Any], directory: Path, split: str, *, is_own: bool
) -> dict[str, Any]:
    """Prints and writes the metrics; says where, if they are not the run's own."""
    print_metrics(metrics)
    metrics = without_nan(metrics)
    path = directory / f"metrics_{_flat(split)}.json"
    write_text(path, json.dumps(metrics, indent=1, allow_nan=False))
    if not is_own:
        origin = (
            "of these detections" if "detections" in metrics else "with these settings"
        )
        print(f"Metrics {origin}: {path}")
    return metrics


def _flat(split: str) -> str:
    """Returns a split's name as a part of a file's, on every system."""
    return re.sub(r'[/\\:*?"<>|]', "_", split)


def _check_thresholds(
    by: str | None, precision: float | None, overrides: Sequence[str]
) -> None:
    """Raises a ValueError where thresholds would not be those of the run."""
    if by and (overrides or precision is None):
        raise ValueError(
            "--write-thresholds needs --report, and the run's own settings: leave out "
            "--set and --no-follow."
        )


def _write_report(report: Report, page: str, figures: Path) -> None:
    """Writes a report's page, and its figures, whose file is given, beside it."""
    write_text(figures.with_suffix(".html"), page)
    tree = without_nan(report.tree)
    text = json.dumps(tree, indent=1, ensure_ascii=False, allow_nan=False)
    write_text(figures, f"{text}\n")
    for advice in report.advice:
        print(f"{advice.finding} {advice.remedy}")
    print(f"Report: {figures.with_suffix('.html')} and {figures}")


def _new_folder(parent: Path) -> Path:
    """Makes and returns the first free folder of parent/1, parent/2, ..."""
    parent.mkdir(exist_ok=True)
    number = 1
    while True:
        folder = parent / str(number)
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            return folder
        number += 1
