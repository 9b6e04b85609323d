"""The commands: what they do, in order, and what they print."""

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import tensorflow as tf

from tf_frcnn.assembly import (
    Splits,
    build_evaluation_batches,
    build_plan,
    build_resizing,
    is_alternating,
)
from tf_frcnn.checkpoints import REPORT_FILE, check_classes, convert
from tf_frcnn.config import Config
from tf_frcnn.data import read_shapes, write_voc
from tf_frcnn.data.readers.images import find_images, read_images
from tf_frcnn.demo import (
    listen,
    picture_detector,
    require_host_name,
    require_packages,
    serve,
)
from tf_frcnn.drawing.boxes import write_png
from tf_frcnn.drawing.comparisons import ComparisonPictures
from tf_frcnn.export import RUNTIMES, convert_model, export_model
from tf_frcnn.export.limits import MEGABYTES, MEGAPIXELS, require_within
from tf_frcnn.models.faster_rcnn import FasterRCNN, FastRCNN
from tf_frcnn.runs.alternating import STEPS_FOLDER, train_alternating
from tf_frcnn.runs.inference import (
    Run,
    detect,
    ground_truth_of,
    load_run,
    propose,
    take_weights,
)
from tf_frcnn.runs.predictions import output_names, write_predictions
from tf_frcnn.runs.reports import (
    detection_metrics,
    print_metrics,
    recall_metrics,
    run_info,
    without_nan,
)
from tf_frcnn.runs.training import SAMPLES_FOLDER, train


def run_training(
    config: Config, directory: Path, *, resume: bool = False, init: Path | None = None
) -> None:
    """Trains, then evaluates, draws and exports the best weights.

    On a CPU the run is repeatable bit by bit, also across a resume; on a GPU the
    gradients of cropping have no repeatable kernel.

    Args:
        config: the configuration.
        directory: the run folder.
        resume: goes on with an interrupted run.
        init: a run folder whose weights training starts from.

    Raises:
        ValueError: the network of `init` is another one, or the training alternates.
    """
    if init and is_alternating(config):
        raise ValueError(
            f"--init {init}: alternating training starts from a trunk alone; set "
            "train.scheme to joint and leave out train.step_epochs."
        )
    if not tf.config.list_physical_devices("GPU"):
        tf.config.experimental.enable_op_determinism()
    splits = Splits(config)
    if is_alternating(config):
        model = train_alternating(config, directory, resume=resume, splits=splits)
    else:
        start = _start_of(init) if init else {}
        model = train(config, directory, resume=resume, splits=splits, **start)
    # Stored proposals are those of training and validation pictures.
    split = "validation" if isinstance(model, FastRCNN) else "test"
    evaluate_run(directory, split, splits=splits)
    print(f"Metrics:    {directory / f'metrics_{split}.json'}")
    if type(model) is FasterRCNN:
        print(f"Pictures:   {directory / 'pictures'}")
        print(f"SavedModel: {export_run(directory, directory / 'export')}")
    if is_alternating(config):
        print(f"Steps:      {directory / STEPS_FOLDER}")
    else:
        print(f"Log:        {directory / 'log.csv'} and {directory / 'tensorboard'}")


def _start_of(init: Path) -> dict:
    """Returns the arguments of `train` that start from a run."""
    run = load_run(init)
    return {
        "start_from": functools.partial(take_weights, run),
        "class_order": run.model.class_names,
    }


def evaluate_run(
    directory: Path,
    split: str,
    *,
    overrides: Sequence[str] = (),
    coco: bool = False,
    splits: Splits | None = None,
) -> dict:
    """Measures a run on a split, prints tables, and writes them as JSON.

    Writes metrics_SPLIT.json and, of the first pictures, ground truth beside
    predictions into pictures/.

    Args:
        directory: the run folder.
        split: "train", "validation", "test", or a split in the reader's terms.
        overrides: settings that replace those of the run.
        coco: adds COCO's figures, which need pycocotools.
        splits: those of the run's configuration, where they were read already.

    Returns:
        What was written.
    """
    run = load_run(directory, overrides)
    splits = splits or Splits(run.config)
    examples = splits.read(split, run.model.class_names)
    examples.problems.print()
    batches = build_evaluation_batches(run.config, examples)
    truth, name = ground_truth_of(examples), split.replace("/", "_")
    metrics = {"data": examples.name, "num_images": len(examples.records)}
    if isinstance(run.model, FasterRCNN):
        found = detect(run.model, examples, batches)
        metrics |= detection_metrics(run, truth, found, coco=coco)
        for image_id, picture in ComparisonPictures(
            examples, build_plan(run.config).keep_images
        ).drawn(found):
            write_png(directory / "pictures" / f"{name}_{image_id}.png", picture)
    if not isinstance(run.model, FastRCNN):
        metrics |= recall_metrics(
            truth, propose(run.model, examples, batches, training=True)
        )
    print_metrics(metrics)
    metrics = without_nan(metrics)
    path = directory / f"metrics_{name}.json"
    path.write_text(json.dumps(metrics, indent=1, allow_nan=False))
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
    run = _load_detector(directory)
    examples = read_images(find_images(patterns), run.model.class_names)
    examples.problems.print()
    output_names(examples, output)  # Says early what would be overwritten.
    batches = build_evaluation_batches(run.config, examples)
    found = detect(run.model, examples, batches)
    write_predictions(examples, found, output, min_score)


def export_run(
    directory: Path,
    target: Path,
    *,
    file_format: str = "savedmodel",
    overrides: Sequence[str] = (),
    **settings,
) -> Path:
    """Exports a run, checked on the run's sample pictures.

    Args:
        directory: the run folder.
        target: folder of the versions.
        file_format: "savedmodel", or a key of `RUNTIMES`, whose files compute in
            float32 whatever the run trained in.
        overrides: settings that replace those of the run.
        **settings: `version` and `max_megapixels` of `export_model`, or `version` and
            `canvas` of `convert_model`.

    Returns:
        The folder of the version that was written.
    """
    is_converted = file_format in RUNTIMES
    if is_converted:
        settings["file_format"] = file_format
        overrides = [*overrides, "train.precision=float32"]
    run = _load_detector(directory, overrides)
    samples = read_images(
        find_images([directory / SAMPLES_FOLDER]), run.model.class_names
    )
    resizing, info = build_resizing(run.config), run_info(run)
    write = convert_model if is_converted else export_model
    return write(run.model, resizing, target, samples, info=info, **settings)


def serve_demo(
    directory: Path,
    *,
    host: str,
    port: int,
    public_host: str | None = None,
    max_megabytes: float,
    max_megapixels: float,
) -> None:
    """Serves a web page that shows a run's detections, until it is interrupted.

    Args:
        directory: the run folder.
        host: the address that is listened on.
        port: 0 for any that is free.
        public_host: a further name that requests may call the server by.
        max_megabytes: larger files are refused.
        max_megapixels: pictures that claim to have more are refused.
    """
    require_packages()
    limits = {"max_megabytes": max_megabytes, "max_megapixels": max_megapixels}
    require_within("demo: max_megabytes", max_megabytes, MEGABYTES)
    require_within("demo: max_megapixels", max_megapixels, MEGAPIXELS)
    if public_host is not None:
        require_host_name(public_host)
    with listen(host, port) as listener:
        run = _load_detector(directory)
        names, resizing = run.model.class_names, build_resizing(run.config)
        detect = picture_detector(run.model, resizing, int(max_megapixels * 1e6))
        detect(tf.io.encode_png(tf.zeros([64, 64, 3], tf.uint8)).numpy())  # Warms up.
        about = {"name": directory.resolve().name, "class_names": names}
        serve(detect, listener, public_host=public_host, **about, **limits)


def convert_checkpoint(
    source: str,
    file: Path,
    directory: Path,
    *,
    classes: Path | None = None,
    variant: str | None = None,
    strict: bool = True,
) -> None:
    """Makes a run folder of a published checkpoint and prints what became of it.

    Args:
        source: one of `checkpoints.SOURCES`.
        file: the checkpoint.
        directory: the run folder.
        classes: file with one class name per line; None for those of the checkpoint.
        variant: one of the source's, where the file does not tell.
        strict: whether an incomplete load is an error.
    """
    names = None if classes is None else _read_class_names(classes)
    loaded = convert(source, file, directory, names, variant=variant, strict=strict)
    print(loaded.report.summary())
    for note in loaded.notes:
        print(f"Note: {note}")
    print(f"Report:     {directory / REPORT_FILE}")
    print(f"Run folder: {directory} ({len(loaded.model.class_names)} classes)")


def _read_class_names(path: Path) -> tuple[str, ...]:
    """Reads one name per line; empty lines are skipped."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: it is not UTF-8 text.") from error
    return check_classes([line.strip() for line in lines if line.strip()], str(path))


def write_shapes(directory: Path, counts: Mapping[str, int], seed: int) -> None:
    """Writes the built-in shapes as a VOC folder with one split per count.

    Args:
        directory: of the VOC folder.
        counts: split -> number of pictures.
        seed: as in a configuration; the pictures are the same.
    """
    for split, count in counts.items():
        examples = read_shapes(None, split, seed=seed, **{f"num_{split}": count})
        write_voc(examples, directory, split)
        print(f"{directory}: {split}, {count} pictures.")


def _load_detector(directory: Path, overrides: Sequence[str] = ()) -> Run:
    """Loads a run whose model detects objects in pictures alone."""
    run = load_run(directory, overrides)
    if type(run.model) is not FasterRCNN:
        raise ValueError(
            f"{directory}: a {type(run.model).__name__} does not detect objects in "
            "pictures alone; give a run of model.kind faster_rcnn."
        )
    return run
