"""The evaluation of a run on a split of its data."""

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tf_frcnn.assembly import Splits, build_plan
from tf_frcnn.drawing.comparisons import ComparisonImages
from tf_frcnn.models.evaluating import ground_truth_of, observe, propose
from tf_frcnn.runs.inference import load_run
from tf_frcnn.runs.reports import (
    detection_metrics,
    print_metrics,
    recall_metrics,
    without_nan,
)
from tf_frcnn.runs.safe_files import write_text
from tf_frcnn.runs.writing import write_image


def evaluate_run(
    directory: Path,
    split: str,
    *,
    overrides: Sequence[str] = (),
    coco: bool = False,
    splits: Splits | None = None,
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

    Returns:
        The metrics that were written.
    """
    run = load_run(directory, overrides)
    examples = (splits or Splits(run.config)).read(split, run.model.class_names)
    examples.problems.print()
    name = split.replace("/", "_")
    metrics = {"data": examples.name, "num_images": len(examples.records)}
    if overrides:
        metrics["settings"] = list(overrides)
        directory = _new_folder(directory / "evaluations")
    if run.model.roi_head is not None:
        truth, found = observe(run.model, examples)
        metrics |= detection_metrics(run, truth, found, coco=coco)
        for image_id, image in ComparisonImages(
            examples, build_plan(run.config).keep_images
        ).drawn(found):
            write_image(directory / "drawings" / f"{name}_{image_id}.png", image)
    if run.model.rpn is not None:
        metrics |= recall_metrics(
            ground_truth_of(examples), propose(run.model, examples, training=True)
        )
    print_metrics(metrics)
    metrics = without_nan(metrics)
    path = directory / f"metrics_{name}.json"
    write_text(path, json.dumps(metrics, indent=1, allow_nan=False))
    if overrides:
        print(f"Metrics with these settings: {path}")
    return metrics


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
