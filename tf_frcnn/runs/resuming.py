"""Where an interrupted run goes on, and what has changed since."""

import difflib
import hashlib
import warnings
from pathlib import Path

import numpy as np
import tensorflow as tf

from tf_frcnn.config import Config, dump_config
from tf_frcnn.data import ExampleSet
from tf_frcnn.models import Detector
from tf_frcnn.models.optimizer import step_count
from tf_frcnn.models.workers import gathered, workers_of
from tf_frcnn.runs.checkpoints import usable_checkpoint
from tf_frcnn.runs.settings_files import (
    CLASSES_FILE,
    CONFIG_FILE,
    changed_files,
    run_classes,
)
from tf_frcnn.runs.state import Checkpoint, RunState, read_state
from tf_frcnn.runs.weights import BEST_WEIGHTS, load_weights


def check_run_folder(directory: Path, resume: bool) -> None:
    """Raises an error unless there is a run exactly if one is to be resumed."""
    has_run = (directory / CONFIG_FILE).is_file()
    if has_run and not resume:
        raise FileExistsError(
            f"{directory} holds a run already. Continue it with --resume, or choose "
            "another folder with --output."
        )
    if resume and not has_run:
        raise FileNotFoundError(
            f"{directory} has no {CONFIG_FILE}: there is nothing to resume. Train "
            "without --resume."
        )
    state = read_state(directory) if resume else None
    was_trained = state is not None and state.checkpoints
    if resume and not was_trained and (directory / BEST_WEIGHTS).is_file():
        raise FileNotFoundError(
            f"{directory} was converted and not trained: there is nothing to resume. "
            f"Start from it with --init {directory}."
        )


def require_own_folder(directory: Path, config: Config) -> None:
    """Raises an error if a run's folder is that of the data."""
    if (data := config.data.directory) is None or not Path(data).is_dir():
        return
    if directory.exists() and directory.samefile(data):
        raise FileExistsError(
            f"{directory} holds the data; give the run a folder of its own by --output."
        )


def resumed_classes(directory: Path, examples: ExampleSet) -> tuple[str, ...]:
    """Returns the classes of a resumed run, in the order of its labels.

    Raises:
        ValueError: the data have other classes.
    """
    names = run_classes(directory)
    if sorted(names) != sorted(examples.class_names):
        raise ValueError(
            f"{directory / CLASSES_FILE}: the run has the classes {', '.join(names)}, "
            f"but {examples.name} has {', '.join(examples.class_names)}; it "
            "can only be resumed with the same."
        )
    return names


def new_state(config: Config, examples: ExampleSet, steps_per_epoch: int) -> RunState:
    """Returns the state of a run before its first step."""
    return RunState(
        data=digest_of(examples),
        steps_per_epoch=steps_per_epoch,
        optimizer=config.train.optimizer
        + (" with averages" if config.train.ema else ""),
    )


def resume_training(directory: Path, model: Detector, state: RunState) -> RunState:
    """Loads the newest checkpoint that is whole, and tells what has changed.

    With other data or another number of steps per epoch there is no place within an
    epoch to go on at: one that was begun starts again, and the optimizer's steps, on
    which the schedule depends, are set to those of so many epochs.

    Args:
        directory: the run folder.
        model: compiled; gets the weights and the optimizer's state.
        state: `new_state` of the configuration and the data.

    Returns:
        The state to go on from; `state` itself if the run died before its first step.

    Raises:
        ValueError: the optimizer or the network is another one, or no checkpoint is
            whole.
    """
    old = read_state(directory) or RunState()
    checkpoint = usable_checkpoint(directory, old)
    if checkpoint is None:
        print("The run had not taken a step; it begins anew.")
        return state
    if old.optimizer != state.optimizer:
        raise ValueError(
            f"{directory} was trained by {old.optimizer}, whose state "
            f"{state.optimizer} cannot go on with. Leave train.optimizer and train.ema "
            f"as they are, or start another run by --init {directory}."
        )
    load_weights(model, directory / checkpoint.file)
    if (old.data, old.steps_per_epoch) != (state.data, state.steps_per_epoch):
        checkpoint = _at_epoch(checkpoint, old, state)
        step_count(model.optimizer).assign(checkpoint.step)
    _tell(checkpoint, state)
    whole = old.checkpoints[[c.file for c in old.checkpoints].index(checkpoint.file) :]
    return state.replace(
        files=old.files,
        checkpoints=(checkpoint, *whole[1:]),
        best=old.best,
        standing=old.standing,
    )


def require_equal_states(state: RunState, strategy: tf.distribute.Strategy) -> None:
    """Raises a ValueError where workers begin with other data, or at another place.

    Args:
        state: of this worker.
        strategy: of all workers.
    """
    if workers_of(strategy).total == 1:
        return
    facts = state.data, *[f"{c.sha256}{c.step}" for c in state.checkpoints[:1]]
    digest = hashlib.sha256(repr(facts).encode()).hexdigest()
    # Each half is a whole number that float64 holds.
    own = np.array([[int(digest[:12], 16), int(digest[12:24], 16)]])
    (rows,) = gathered([own], strategy)
    if (rows != rows[0]).any():
        raise ValueError(
            "The workers do not begin alike: they read other training data, or another "
            "checkpoint. Let all of them see the same data and the same run folder."
        )


def _at_epoch(checkpoint: Checkpoint, old: RunState, new: RunState) -> Checkpoint:
    """Returns a checkpoint at the beginning of an epoch of the new number of steps."""
    if old.data != new.data:
        print("Resuming with changed training data.")
    if old.steps_per_epoch != new.steps_per_epoch:
        print(
            f"Resuming with {new.steps_per_epoch} steps per epoch; there were "
            f"{old.steps_per_epoch}."
        )
    is_done = checkpoint.batch == old.steps_per_epoch
    if checkpoint.batch and not is_done:
        print(f"Epoch {checkpoint.epoch + 1}, which was begun, starts again.")
    epoch = checkpoint.epoch + is_done
    return checkpoint.model_copy(
        update={"epoch": epoch, "batch": 0, "step": epoch * new.steps_per_epoch}
    )


def _tell(checkpoint: Checkpoint, state: RunState) -> None:
    place = f"Resuming after epoch {checkpoint.epoch}"
    if checkpoint.batch:
        place += (
            f" and {checkpoint.batch} of the {state.steps_per_epoch} steps of the next"
        )
    print(f"{place}.")


def report_changes(directory: Path, config: Config) -> None:
    """Prints the settings of a resumed run that have changed since it began."""
    for name in changed_files(directory, read_state(directory) or RunState()):
        warnings.warn(
            f"{directory / name} was changed since the run wrote it.", stacklevel=2
        )
    before = (directory / CONFIG_FILE).read_text().splitlines()
    after = dump_config(config).splitlines()
    changes = [
        line
        for line in difflib.unified_diff(before, after, lineterm="", n=0)
        if line[0] in "+-" and line[:3] not in ("+++", "---")
    ]
    if changes:
        print("Resuming with changed settings:", *changes, sep="\n  ")


def digest_of(examples: ExampleSet) -> str:
    """Returns a digest of a set's images, sizes and objects."""
    digest = hashlib.sha256()
    for record in examples.records:
        facts = (record.image_id, record.height, record.width, record.orientation)
        digest.update(repr(facts).encode())
        for array in (record.boxes, record.labels, record.difficult, record.crowd):
            digest.update(array.tobytes())
    return digest.hexdigest()
