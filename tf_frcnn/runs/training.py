"""A run: from a configuration to a folder with weights, logs, images and metrics."""

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tf_frcnn.assembly import (
    Splits,
    build_model,
    build_plan,
    build_strategy,
    check_parts,
    compile_model,
    count_epoch,
    load_initial_weights,
    stored_proposals,
)
from tf_frcnn.config import Config
from tf_frcnn.data import DataError, ExampleSet
from tf_frcnn.drawing.comparisons import load_images
from tf_frcnn.models import Detector, NonFiniteError
from tf_frcnn.models.workers import LostWorkerError, together, workers_of
from tf_frcnn.runs.averaging import AveragedWeights
from tf_frcnn.runs.black_box import BlackBox
from tf_frcnn.runs.checkpoints import (
    EarlierLosses,
    write_first_checkpoint,
)
from tf_frcnn.runs.data_reports import report_data, report_replaced, report_sampling
from tf_frcnn.runs.locks import claimed
from tf_frcnn.runs.prepared import Prepared
from tf_frcnn.runs.resuming import (
    check_run_folder,
    new_state,
    report_changes,
    require_equal_states,
    resume_training,
    resumed_classes,
)
from tf_frcnn.runs.settings_files import write_settings
from tf_frcnn.runs.signals import Interrupted, stoppable
from tf_frcnn.runs.standing import Judge, begun_anew, deciding_figure
from tf_frcnn.runs.state import write_state
from tf_frcnn.runs.training_callbacks import (
    averaging_of,
    callbacks_of,
    validated_epochs,
    validation_of,
)
from tf_frcnn.runs.training_page import write_training_page
from tf_frcnn.runs.writing import write_image

SAMPLES_FOLDER, NUM_SAMPLES = "samples", 4


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
    dropped in the data, and replaced in training), sampling.json (how often images
    come, if not once), log.csv, times.csv, tensorboard/, drawings/ (ground truth beside
    predictions of the first validation images), weights/ (the best, and the last
    checkpoints), state.json (where the run stands, and checksums), in the end
    report.html with the curves and, if a step is not finite, black_box_STEP.npz.

    Whatever ends the process, a resumed run goes on at its last checkpoint, and on a
    CPU ends with the same weights, bit by bit. Of several workers the chief alone
    writes; the others read the run folder where they resume.

    Args:
        config: the configuration.
        directory: the run folder; new, or an earlier run's with `resume`.
        resume: continues at the last checkpoint.
        start_from: sets the weights to start from, and which of them stay as they are,
            instead of the configured ones.
        class_order: the classes in the model's order; used if the data has the same.
        splits: those of the configuration, if more than this run uses them.

    Returns:
        The model with its last weights, with `train.ema` the averages of them.

    Raises:
        BlockingIOError: another process trains there.
        DataError: the data cannot be used, or no longer be read.
        FileExistsError: the folder holds a run and `resume` is False.
        FileNotFoundError: there is nothing to resume.
        Interrupted: SIGINT or SIGTERM came; the state was written.
        LostWorkerError: another worker has ended.
        NonFiniteError: a loss or a gradient became NaN or infinite.
        ValueError: the run cannot be resumed with these settings or data.
    """
    directory = Path(directory)
    strategy = build_strategy(config)
    is_chief = workers_of(strategy).is_chief
    check_parts(config)
    check_run_folder(directory, resume)
    with claimed(directory) if is_chief else contextlib.nullcontext():
        if resume:
            report_changes(directory, config)
        splits = splits or Splits(config)
        with together(workers_of(strategy)), strategy.scope():
            prepared = _prepare(
                config, directory, resume, start_from, class_order, splits
            )
        if is_chief:
            prepared = _begin(prepared)
        if prepared.start.epoch >= prepared.plan.epochs:
            print(f"The run has finished all of its {prepared.plan.epochs} epochs.")
        elif prepared.judge.is_over:
            print(prepared.judge.farewell())
        elif is_chief:
            _fit(prepared)
            write_training_page(directory)
        else:
            own = [
                *averaging_of(prepared),
                validation_of(prepared),
                EarlierLosses(prepared.start),
                prepared.judge,
            ]
            _fit_model(prepared, own, verbose=0)
    return prepared.model


def _fit_model(prepared: Prepared, callbacks, **settings: Any) -> None:
    model = prepared.model
    try:
        with together(workers_of(model.distribute_strategy)):
            model.fit(
                prepared.training,
                initial_epoch=prepared.start.epoch,
                initial_batch=prepared.start.batch,
                epochs=prepared.plan.epochs,
                validation_data=prepared.validation,
                validation_freq=validated_epochs(prepared.plan),
                callbacks=callbacks,
                **settings,
            )
    except LostWorkerError as error:
        raise LostWorkerError(
            f"{error} Start all workers again with --resume."
        ) from error


def _fit(prepared: Prepared) -> None:
    """Trains, and writes all that a run folder has."""
    with stoppable() as stop:
        callbacks = callbacks_of(prepared, stop)
        checkpoints = callbacks[-1]
        prepared.model.sound_steps.on_bad_step = BlackBox(
            prepared.directory, prepared.model
        )
        try:
            _fit_model(prepared, callbacks)
        except NonFiniteError as error:
            raise NonFiniteError(
                f"{error} The last checkpoint is {checkpoints.newest}. The settings "
                "are train.learning_rate, train.clip_norm and train.warmup_steps; "
                "train.on_non_finite=skip passes over such steps."
            ) from error
        except DataError as error:
            raise DataError(
                f"{error} The last checkpoint is {checkpoints.newest}; --resume reads "
                "the data again and goes on there."
            ) from error
        except Interrupted as error:
            raise Interrupted(
                error.number,
                f"Stopped; the last checkpoint is {checkpoints.newest}. Go on with "
                "--resume.",
            ) from None
        finally:
            report_replaced(prepared.directory, prepared.training)


def _prepare(
    config: Config, directory: Path, resume: bool, start_from, class_order, splits
) -> Prepared:
    """Makes the model; writes nothing."""
    examples = splits.read("train")
    if resume:
        class_order = resumed_classes(directory, examples)
    if sorted(class_order) == sorted(examples.class_names):
        examples = examples.with_classes(class_order)
    validation = splits.read("validation", examples.class_names)
    model = build_model(config, examples.class_names)
    if start_from:
        start_from(model)
    steps_per_epoch, images_per_epoch = count_epoch(config, examples)
    # If they are missing it is said before the folder is begun.
    stored_proposals(config, examples, for_training=True)
    compile_model(config, model, steps_per_epoch)
    plan = build_plan(config)
    averages = AveragedWeights(model, plan.ema) if plan.ema else None
    state = new_state(config, examples, steps_per_epoch)
    if resume:
        state = resume_training(directory, model, state)
    require_equal_states(state, model.distribute_strategy)
    if not state.checkpoints and not start_from:
        _load_initial_weights(config, model)
    if averages and not state.checkpoints:
        averages.begin()
    figure = deciding_figure(plan.best_by, model, validation)
    state = begun_anew(state, figure)
    return Prepared(
        config=config,
        directory=directory,
        plan=plan,
        model=model,
        training=examples,
        validation=validation,
        images_per_epoch=images_per_epoch,
        state=state,
        judge=Judge(
            figure,
            state.standing,
            patience=plan.patience,
            plateau_patience=plan.plateau_patience,
        ),
        averages=averages,
    )


def _begin(prepared: Prepared) -> Prepared:
    """Makes the folder a run that can be resumed, whatever happens next.

    The settings, which make it a run, come after the weights that it starts from.
    """
    directory, model, state = prepared.directory, prepared.model, prepared.state
    if not state.checkpoints:
        state = write_first_checkpoint(directory, model, state)
    files = write_settings(directory, prepared.config, model.class_names)
    state = state.replace(files=files)
    write_state(directory, state)
    report_data(directory, (prepared.training, prepared.validation))
    report_sampling(directory, prepared.config, prepared.training)
    write_samples(directory, prepared.validation)
    return prepared._replace(state=state)


def _load_initial_weights(config: Config, model: Detector) -> None:
    if report := load_initial_weights(config, model):
        random = f"; random: {', '.join(report.random)}" if report.random else ""
        print(f"Pretrained weights: {len(report.loaded)} layers{random}.")


def write_samples(directory: Path, validation: ExampleSet) -> None:
    """Writes a few upright images, which an export is tested on."""
    count = min(NUM_SAMPLES, len(validation.records))
    images = load_images(validation, range(count))
    for record, image in zip(validation.records, images, strict=False):
        write_image(directory / SAMPLES_FOLDER / f"{record.flat_id}.png", image)
