"""The evaluation of a run on a split of its data."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tf_frcnn.assembly import Splits, build_plan
from tf_frcnn.drawing.boxes import write_png
from tf_frcnn.drawing.comparisons import ComparisonImages
from tf_frcnn.models.evaluating import ground_truth_of, observe, propose
from tf_frcnn.runs.inference import load_run
from tf_frcnn.runs.reports import (
    detection_metrics,
    print_metrics,
    recall_metrics,
    without_nan,
)


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
    into drawings/.

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
    if run.model.roi_head is not None:
        truth, found = observe(run.model, examples)
        metrics |= detection_metrics(run, truth, found, coco=coco)
        for image_id, image in ComparisonImages(
            examples, build_plan(run.config).keep_images
        ).drawn(found):
            write_png(directory / "drawings" / f"{name}_{image_id}.png", image)
    if run.model.rpn is not None:
        metrics |= recall_metrics(
            ground_truth_of(examples), propose(run.model, examples, training=True)
        )
    print_metrics(metrics)
    metrics = without_nan(metrics)
    path = directory / f"metrics_{name}.json"
    path.write_text(json.dumps(metrics, indent=1, allow_nan=False))
    return metrics
