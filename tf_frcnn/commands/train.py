"""`tf-frcnn train`: from a configuration to a run folder with all results."""

from __future__ import annotations

import argparse
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tf_frcnn.commands.arguments import (
    add_config,
    default_output,
    expanded_path,
    run_folder,
)
from tf_frcnn.commands.export import export_run

if TYPE_CHECKING:
    from tf_frcnn.assembly import Splits
    from tf_frcnn.config import Config

HELP = "train, evaluate, draw and export"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_config(parser, nargs="?", more=" (with --init, that of RUN)")
    parser.add_argument(
        "--output", type=expanded_path, help="run folder (runs/CONFIG's name)"
    )
    parser.add_argument(
        "--init",
        type=run_folder,
        metavar="RUN",
        help="start from the weights of a trained or converted run",
    )
    parser.add_argument(
        "--resume", action="store_true", help="continue the run at its last checkpoint"
    )
    parser.add_argument(
        "--no-export",
        action="store_false",
        dest="exports",
        help="leave the SavedModel to tf-frcnn export",
    )


def run(options: argparse.Namespace) -> None:
    """Trains, evaluates, draws and exports."""
    from tf_frcnn.config import load_config, recipe_path

    output = options.output
    if options.config:
        options.config = recipe_path(options.config)
    elif options.init:
        from tf_frcnn.runs.settings_files import run_config

        options.config = run_config(options.init)
        output = output or Path("runs") / f"{options.init.resolve().name}_tuned"
    else:
        raise ValueError("train needs a CONFIG, or a run to start from with --init.")
    config = load_config(options.config, options.set)
    output = output or default_output(options.config)
    run_training(
        config,
        output,
        resume=options.resume,
        init=options.init,
        exports=options.exports,
    )


def run_training(
    config: Config,
    directory: Path,
    *,
    resume: bool = False,
    init: Path | None = None,
    exports: bool = True,
) -> None:
    """Trains, then evaluates, draws and exports the best weights.

    On a CPU the run is repeatable bit by bit, also across a resume; but not with the
    backbone mobilenet_v3_large_fpn, where TensorFlow sums three gradients in the order
    in which they can be overwritten. On a GPU its kernels do not repeat their results.

    Args:
        config: the configuration.
        directory: the run folder.
        resume: continues an interrupted run.
        init: a run folder whose weights training starts from.
        exports: whether the SavedModel is written.

    Raises:
        DataError: a split of the training cannot be read. Without a test split the
            validation split is evaluated.
        FileNotFoundError, RuntimeError: there are no weights to start from.
        ValueError: the network of `init` differs, or the training alternates.
    """
    from tf_frcnn.assembly import (
        Splits,
        build_strategy,
        check_parts,
        is_alternating,
        read_initial_weights,
    )
    from tf_frcnn.models.workers import workers_of
    from tf_frcnn.runs.alternating import STEPS_FOLDER
    from tf_frcnn.runs.evaluation import evaluate_run
    from tf_frcnn.runs.locks import claimed
    from tf_frcnn.runs.opening import open_splits
    from tf_frcnn.runs.resuming import check_run_folder, require_own_folder
    from tf_frcnn.runs.training_page import write_training_page

    is_chief = workers_of(build_strategy(config)).is_chief
    check_parts(config)
    check_run_folder(directory, resume)
    require_own_folder(directory, config)
    start = _start_of(init, config) if init else {}
    if not resume and not init:
        read_initial_weights(config)
    splits = Splits(config)
    if not is_chief:
        _train(config, directory, resume, start, splits)
        return
    with claimed(directory):
        split = open_splits(config, splits)
        model = _train(config, directory, resume, start, splits)
    evaluate_run(directory, split, splits=splits)
    print(f"Metrics:    {directory / f'metrics_{split}.json'}")
    if model.rpn is not None and model.roi_head is not None:
        print(f"Drawings:   {directory / 'drawings'}")
        if exports:
            print(f"SavedModel: {export_run(directory, directory / 'export')}")
    boards = "tensorboard"
    if is_alternating(config):
        boards = f"{STEPS_FOLDER}/*/tensorboard"
    print(f"Log:        {directory / 'log.csv'} and {directory / boards}")
    if page := write_training_page(directory):
        print(f"Report:     {page}")


def _train(
    config: Config,
    directory: Path,
    resume: bool,
    start: dict[str, Any],
    splits: Splits,
) -> Any:
    """Returns the model that the configured scheme trains."""
    from tf_frcnn.assembly import is_alternating
    from tf_frcnn.runs.alternating import train_alternating
    from tf_frcnn.runs.training import train

    if is_alternating(config):
        return train_alternating(config, directory, resume=resume, splits=splits)
    return train(config, directory, resume=resume, splits=splits, **start)


def _start_of(init: Path, config: Config) -> dict[str, Any]:
    """Returns the arguments of `train` that start from a run."""
    from tf_frcnn.assembly import is_alternating
    from tf_frcnn.runs.inference import load_run, take_weights

    if is_alternating(config):
        raise ValueError(
            f"--init {init}: alternating training starts from a backbone alone; set "
            "train.scheme to joint and leave out train.step_epochs."
        )
    run = load_run(init)
    return {
        "start_from": functools.partial(take_weights, run),
        "class_order": run.model.class_names,
    }
