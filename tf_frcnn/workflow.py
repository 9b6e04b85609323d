"""The commands: what they do, in order, and what they print."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from tf_frcnn.build import (
    build_evaluation_batches,
    build_examples,
    build_plan,
    build_resizing,
    split_seed,
)
from tf_frcnn.config import Config
from tf_frcnn.data import make_shapes, write_voc
from tf_frcnn.data.images import find_images, read_images
from tf_frcnn.evaluation import evaluate_coco, evaluate_voc, proposal_recall
from tf_frcnn.export import export_model
from tf_frcnn.inference import (
    Run,
    detect,
    detections_of_image,
    ground_truth_of,
    load_run,
    propose,
)
from tf_frcnn.pictures import ComparisonPictures, load_pictures
from tf_frcnn.training import SAMPLES_FOLDER, train
from tf_frcnn.visualize import draw_boxes, write_png

# Wide enough for the tables also where the output is a file.
_CONSOLE = Console(width=100)


def run_training(config: Config, directory: Path, *, resume: bool = False) -> None:
    """Trains, then evaluates, draws and exports the best weights.

    On a CPU the run is repeatable bit by bit, also across a resume; on a GPU the
    gradients of cropping have no repeatable kernel.

    Args:
        config: the configuration.
        directory: the run folder.
        resume: goes on with an interrupted run.
    """
    if not tf.config.list_physical_devices("GPU"):
        tf.config.experimental.enable_op_determinism()
    train(config, directory, resume=resume)
    evaluate_run(directory, "test")
    exported = export_run(directory, directory / "export")
    print(
        f"Pictures:   {directory / 'pictures'}\n"
        f"Metrics:    {directory / 'metrics_test.json'}\n"
        f"Log:        {directory / 'log.csv'} and {directory / 'tensorboard'}\n"
        f"SavedModel: {exported}"
    )


def evaluate_run(
    directory: Path,
    split: str,
    *,
    overrides: Sequence[str] = (),
    coco: bool = False,
) -> dict:
    """Measures a run on a split, prints tables, and writes them as JSON.

    Writes metrics_SPLIT.json and, of the first pictures, ground truth beside
    predictions into pictures/.

    Args:
        directory: the run folder.
        split: "train", "validation", "test", or a split in the reader's terms.
        overrides: settings that replace those of the run.
        coco: adds COCO's figures, which need pycocotools.

    Returns:
        What was written.
    """
    run = load_run(directory, overrides)
    examples = build_examples(run.config, split, run.model.class_names)
    examples.problems.print()
    batches = build_evaluation_batches(run.config, examples)
    truth, found = ground_truth_of(examples), detect(run.model, examples, batches)
    recall = proposal_recall(truth, propose(run.model, examples, batches))
    metrics = {
        "data": examples.name,
        "num_images": len(examples.records),
        "voc": _voc_metrics(run, truth, found),
        "proposal_recall": {
            "num_proposals": recall.num_proposals.tolist(),
            "iou_thresholds": recall.iou_thresholds.tolist(),
            "recalls": recall.recalls.tolist(),
            "average_recalls": recall.average_recalls.tolist(),
        },
    }
    if coco:
        numbers = evaluate_coco(truth, found, len(examples.class_names))._asdict()
        metrics["coco"] = {name: np.asarray(n).tolist() for name, n in numbers.items()}
    _print_metrics(metrics)
    metrics = _without_nan(metrics)
    name = split.replace("/", "_")
    path = directory / f"metrics_{name}.json"
    path.write_text(json.dumps(metrics, indent=1, allow_nan=False))
    for image_id, picture in ComparisonPictures(
        examples, build_plan(run.config).keep_images
    ).drawn(found):
        write_png(directory / "pictures" / f"{name}_{image_id}.png", picture)
    return metrics


def predict_files(
    directory: Path, patterns: Sequence[str], output: Path, min_score: float
) -> None:
    """Detects objects in files; writes a PNG of each and detections.json.

    Args:
        directory: the run folder.
        patterns: files, folders or glob patterns.
        output: folder for the results.
        min_score: detections below it are neither drawn nor listed.
    """
    run = load_run(directory)
    examples = read_images(find_images(patterns), run.model.class_names)
    examples.problems.print()
    names = _output_names(examples.records)
    sources = {Path(record.source).resolve() for record in examples.records}
    for name in names:
        if (output / name).resolve() in sources:
            raise ValueError(
                f"{output / name} is one of the pictures given and would be "
                "overwritten; choose another folder by --output."
            )
    batches = build_evaluation_batches(run.config, examples)
    found = detect(run.model, examples, batches)
    listed = []
    output.mkdir(parents=True, exist_ok=True)
    for row, (record, name) in enumerate(zip(examples.records, names, strict=True)):
        own = detections_of_image(found, row)
        own = own._make(column[own.scores >= min_score] for column in own)
        (image,) = load_pictures(examples, [row])
        drawn = draw_boxes(
            image, own.boxes, own.labels, examples.class_names, scores=own.scores
        )
        write_png(output / name, drawn)
        listed.append(_as_json(record, own, examples.class_names))
        print(f"{record.source}: {len(own.scores)} detections -> {output / name}")
    (output / "detections.json").write_text(json.dumps(listed, indent=1))
    print(f"Boxes in pixels of the files: {output / 'detections.json'}")


def export_run(directory: Path, target: Path) -> Path:
    """Exports a run as a SavedModel, checked on the run's sample pictures.

    Returns:
        The folder of the version that was written.
    """
    run = load_run(directory)
    samples = read_images(
        find_images([directory / SAMPLES_FOLDER]), run.model.class_names
    )
    return export_model(run.model, build_resizing(run.config), target, samples)


def write_shapes(directory: Path, counts: Mapping[str, int], seed: int) -> None:
    """Writes the built-in shapes as a VOC folder with one split per count.

    Args:
        directory: of the VOC folder.
        counts: split -> number of pictures.
        seed: as in a configuration; the pictures are the same.
    """
    config = Config(seed=seed)
    for split, count in counts.items():
        examples = make_shapes(count, seed=split_seed(config, split))
        write_voc(examples, directory, split)
        print(f"{directory}: {split}, {count} pictures.")


def _voc_metrics(run: Run, truth, found) -> dict:
    """Returns both VOC metrics at the run's IoU and the area metric over many."""
    settings = dict(build_plan(run.config).metric)
    chosen, names = settings.pop("metric"), run.model.class_names
    results = {
        metric: evaluate_voc(truth, found, len(names), metric=metric, **settings)
        for metric in ("11-point", "area")
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


def _without_nan(value):
    """Returns the tree with None for NaN, which JSON does not have."""
    if isinstance(value, dict):
        return {name: _without_nan(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_without_nan(part) for part in value]
    return None if isinstance(value, float) and np.isnan(value) else value


def _print_metrics(metrics: dict) -> None:
    voc, recall = metrics["voc"], metrics["proposal_recall"]
    iou = voc["iou_threshold"]
    table = Table(title=f"Average precision on {metrics['data']}")
    for heading in ("class", "objects", f"AP 11-point, IoU {iou}", f"area, IoU {iou}"):
        table.add_column(heading, justify="left" if heading == "class" else "right")
    for name, row in voc["classes"].items():
        table.add_row(
            name, str(row["objects"]), f"{row['11-point']:.3f}", f"{row['area']:.3f}"
        )
    table.add_section()
    total = str(sum(row["objects"] for row in voc["classes"].values()))
    means = [f"{voc['mAP'][metric]:.3f}" for metric in ("11-point", "area")]
    table.add_row("mean (mAP)", total, *means)
    _CONSOLE.print(table)
    _CONSOLE.print(
        f"mAP, area, mean over IoU 0.50 to 0.95: {voc['mAP_area_50_95']:.3f}"
    )
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
    if "coco" in metrics:
        numbers = [
            f"{name} {value:.3f}"
            for name, value in metrics["coco"].items()
            if not isinstance(value, list)
        ]
        _CONSOLE.print(f"COCO: {', '.join(numbers)}")


def _output_names(records) -> list[str]:
    """Returns PNG names, numbered where files of several folders share a name."""
    names = {}
    for record in records:
        stem = name = Path(record.source).stem
        count = 1
        while f"{name}.png" in names:
            count += 1
            name = f"{stem}_{count}"
        names[f"{name}.png"] = None
    return list(names)


def _as_json(record, own, class_names) -> dict:
    """Returns one picture's detections; boxes are (xmin, ymin, xmax, ymax) by name."""
    return {
        "file": record.source,
        "height": record.height,
        "width": record.width,
        "detections": [
            {
                "class": class_names[label],
                "score": round(float(score), 6),
                "ymin": round(float(box[0]), 3),
                "xmin": round(float(box[1]), 3),
                "ymax": round(float(box[2]), 3),
                "xmax": round(float(box[3]), 3),
            }
            for box, score, label in zip(own.boxes, own.scores, own.labels, strict=True)
        ],
    }
