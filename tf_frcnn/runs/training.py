"""A run: from a configuration to a folder with weights, logs, images and metrics."""

import difflib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from tf_frcnn.assembly import (
    RunPlan,
    Splits,
    build_balance,
    build_model,
    build_plan,
    build_training_batches,
    check_parts,
    compile_model,
    load_initial_weights,
)
from tf_frcnn.callbacks import MeanAveragePrecision
from tf_frcnn.config import Config, dump_config
from tf_frcnn.data import ExampleSet
from tf_frcnn.drawing.boxes import write_png
from tf_frcnn.drawing.comparisons import ComparisonImages, load_images
from tf_frcnn.evaluation import DetectedBoxes
from tf_frcnn.models import Detector, NonFiniteLossError, RegionProposalNetwork
from tf_frcnn.runs.callbacks import (
    BestWeights,
    LastWeights,
    RunLog,
    ValidationRecall,
)
from tf_frcnn.runs.inference import (
    BEST_WEIGHTS,
    CLASSES_FILE,
    CONFIG_FILE,
    LAST_WEIGHTS,
    run_classes,
    write_settings,
)

SAMPLING_FILE = "sampling.json"
PROBLEMS_FILE, SAMPLES_FOLDER, NUM_SAMPLES = "problems.json", "samples", 4


class _Prepared(NamedTuple):
    """Everything a run trains with."""

    directory: Path
    plan: RunPlan
    model: Detector
    training: ExampleSet
    validation: ExampleSet
    start_epoch: int


def train(
    config: Config,
    directory: str | Path,
    *,
    resume: bool = False,
    start_from: Callable[[Detector], None] | None = None,
    class_order: Sequence[str] = (),
    splits: Splits | None = None,
) -> Detector:
    """Trains a model and fills a run folder.

    The folder gets config.yaml, classes.txt, problems.json (what was repaired or
    dropped in the data), sampling.json (how often images come, if not once), log.csv,
    tensorboard/, drawings/ (ground truth beside predictions of the first validation
    images) and weights/ (best and last).

    Args:
        config: the configuration.
        directory: the run folder; new, or an earlier run's with `resume`.
        resume: continues after the last epoch that the run finished.
        start_from: sets the weights to start from, and which of them stay as they are,
            instead of the configured ones.
        class_order: the classes in the model's order; used if the data has the same.
        splits: those of the configuration, if more than this run uses them.

    Returns:
        The model with its last weights.

    Raises:
        FileExistsError: the folder holds a run and `resume` is False.
        FileNotFoundError: there is nothing to resume.
        NonFiniteLossError: a loss became NaN or infinite.
    """
    directory = Path(directory)
    check_parts(config)
    check_run_folder(directory, resume)
    if resume:
        _report_changes(directory, config)
    splits = splits or Splits(config)
    prepared = _prepare(config, directory, resume, start_from, class_order, splits)
    if prepared.start_epoch >= prepared.plan.epochs:
        print(f"The run has finished all of its {prepared.plan.epochs} epochs.")
        return prepared.model
    try:
        prepared.model.fit(
            prepared.training,
            initial_epoch=prepared.start_epoch,
            epochs=prepared.plan.epochs,
            validation_data=prepared.validation,
            validation_freq=_validated_epochs(prepared.plan),
            callbacks=_callbacks(prepared),
        )
    except NonFiniteLossError as error:
        raise NonFiniteLossError(
            f"{error} Those of the last finished epoch are in "
            f"{directory / LAST_WEIGHTS}. The settings are train.learning_rate, "
            "train.clip_norm and train.warmup_steps."
        ) from error
    return prepared.model


def _prepare(
    config: Config, directory: Path, resume: bool, start_from, class_order, splits
) -> _Prepared:
    examples = splits.read("train")
    if resume and (directory / CLASSES_FILE).is_file():
        class_order = _own_classes(directory, examples)
    if sorted(class_order) == sorted(examples.class_names):
        examples = examples.with_classes(class_order)
    class_names = examples.class_names
    validation = splits.read("validation", class_names)
    _report_data(directory, (examples, validation))
    report_sampling(directory, config, examples)
    model = build_model(config, class_names)
    if start_from:
        start_from(model)
    # Known of a data set that was read.
    steps_per_epoch: int = build_training_batches(config, examples).steps  # type: ignore[assignment]
    compile_model(config, model, steps_per_epoch)
    start_epoch = 0
    if resume and (directory / LAST_WEIGHTS).is_file():
        model.load_weights(directory / LAST_WEIGHTS)
        start_epoch = int(model.optimizer.iterations.numpy()) // steps_per_epoch
        print(f"Resuming after epoch {start_epoch}.")
    elif not start_from and (report := load_initial_weights(config, model)):
        random = f"; random: {', '.join(report.random)}" if report.random else ""
        print(f"Pretrained weights: {len(report.loaded)} layers{random}.")
    write_settings(directory, config, class_names)
    write_samples(directory, validation)
    return _Prepared(
        directory=directory,
        plan=build_plan(config),
        model=model,
        training=examples,
        validation=validation,
        start_epoch=start_epoch,
    )


def _own_classes(directory: Path, examples: ExampleSet) -> tuple[str, ...]:
    """Returns the classes of a resumed run, in the order of its labels."""
    names = run_classes(directory)
    if sorted(names) != sorted(examples.class_names):
        raise ValueError(
            f"{directory / CLASSES_FILE}: the run has the classes {', '.join(names)}, "
            f"but {examples.name} has {', '.join(examples.class_names)}; it "
            "can only be resumed with the same."
        )
    return names


def _callbacks(prepared: _Prepared) -> list[keras.callbacks.Callback]:
    plan, directory = prepared.plan, prepared.directory
    writer = tf.summary.create_file_writer(str(directory / "tensorboard"))
    log = RunLog(directory, writer, prepared.start_epoch)
    images = ComparisonImages(prepared.validation, plan.keep_images)

    def keep_drawings(epoch: int, detections: DetectedBoxes) -> None:
        for name, image in images.drawn(detections):
            file = f"epoch_{epoch + 1:03d}_{name}.png"
            write_png(directory / "drawings" / file, image)
            with writer.as_default(step=epoch + 1):
                tf.summary.image(name, image[np.newaxis])

    if prepared.model.roi_head is not None:
        figure = "val_mAP"
        validation = MeanAveragePrecision(
            prepared.validation,
            every=plan.validation_every,
            on_detections=keep_drawings,
        )
    else:
        figure = "val_recall"
        # A detector without a RoI head has an RPN.
        rpn: RegionProposalNetwork = prepared.model.rpn  # type: ignore[assignment]
        validation = ValidationRecall(
            prepared.validation,
            every=plan.validation_every,
            num_proposals=rpn.proposal_layer.proposals.test_post_nms,
        )
    # The last weights last: they end the epoch, and what was interrupted before is
    # repeated.
    return [
        validation,
        log,
        BestWeights(directory, figure, log.best(figure)),
        LastWeights(directory),
    ]


def _validated_epochs(plan: RunPlan) -> list[int]:
    """Returns the epochs, counted from 1, after which the run validates."""
    every = plan.validation_every
    return sorted({*range(every, plan.epochs + 1, every), plan.epochs})


def check_run_folder(directory: Path, resume: bool) -> None:
    """Creates the run folder; `resume` and an existing run need each other."""
    if resume and not (directory / CONFIG_FILE).is_file():
        raise FileNotFoundError(
            f"{directory} has no {CONFIG_FILE}: there is nothing to resume. Train "
            "without --resume."
        )
    if resume and (directory / BEST_WEIGHTS).is_file():
        if not (directory / LAST_WEIGHTS).is_file():
            raise FileNotFoundError(
                f"{directory} was converted and not trained: there is nothing to "
                f"resume. Start from it with --init {directory}."
            )
    if not resume and (directory / CONFIG_FILE).is_file():
        raise FileExistsError(
            f"{directory} holds a run already. Continue it with --resume, or choose "
            "another folder with --output."
        )
    directory.mkdir(parents=True, exist_ok=True)


def _report_changes(directory: Path, config: Config) -> None:
    """Prints the settings of a resumed run that have changed since it began."""
    before = (directory / CONFIG_FILE).read_text().splitlines()
    after = dump_config(config).splitlines()
    changes = [
        line
        for line in difflib.unified_diff(before, after, lineterm="", n=0)
        if line[0] in "+-" and line[:3] not in ("+++", "---")
    ]
    if changes:
        print("Resuming with changed settings:", *changes, sep="\n  ")


def write_samples(directory: Path, validation: ExampleSet) -> None:
    """Writes a few upright images, which an export is tested on."""
    count = min(NUM_SAMPLES, len(validation.records))
    images = load_images(validation, range(count))
    for record, image in zip(validation.records, images, strict=False):
        write_png(directory / SAMPLES_FOLDER / f"{record.flat_id}.png", image)


def _report_data(directory: Path, sets: Sequence[ExampleSet]) -> None:
    """Prints and writes down what was repaired or dropped in the data."""
    rows = {}
    for examples in sets:
        print(
            f"{examples.name}: {len(examples.records)} images, "
            f"{sum(len(r.boxes) for r in examples.records)} objects, "
            f"{len(examples.class_names)} classes."
        )
        examples.problems.print()
        rows[examples.name] = json.loads(examples.problems.to_json())
    (directory / PROBLEMS_FILE).write_text(json.dumps(rows, indent=1))


def report_sampling(directory: Path, config: Config, examples: ExampleSet) -> None:
    """Prints and writes down how often images come in an epoch, if not once each."""
    balance = build_balance(config, examples)
    if balance is None:
        return
    report = balance.report(examples.class_names)
    (directory / SAMPLING_FILE).write_text(json.dumps(report, indent=1))
    classes = [f"{n} {factor:.1f}" for n, factor in report["class_factors"].items()]
    print(
        f"An epoch has {report['images_per_epoch']} images, drawn from "
        f"{report['images']}: {report['repeated_images']} are repeated, up to "
        f"{report['most_often']:.1f} times, for rare classes "
        f"({', '.join(classes) or 'none'}); of the {report['negatives']} without an "
        f"object {report['negatives_per_epoch']} come."
    )
