"""The checkpoints of a run: written, found again, and never lost for a worse one."""

import contextlib
import os
import shutil
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tf_frcnn.runs.averaging import AveragedWeights
from tf_frcnn.runs.callbacks import learning_rate
from tf_frcnn.runs.safe_files import remove_parts, replaced
from tf_frcnn.runs.signals import Stop
from tf_frcnn.runs.standing import Judge, is_better
from tf_frcnn.runs.state import (
    Best,
    Checkpoint,
    RunState,
    is_as_written,
    write_state,
)
from tf_frcnn.runs.weights import BEST_WEIGHTS, save_weights

_NAME = "weights/step_{:08d}.weights.h5"
FIRST = _NAME.format(0)
_ALL = "step_*.weights.h5"


class Checkpoints(keras.callbacks.Callback):
    """Keeps where a training stands, so that its death costs minutes.

    A checkpoint is written at intervals, after the last step of an epoch, before its
    validation, and where a signal stops the training. The best
    weights are those of the last step of an epoch: a second name of the same file.

    It stands last among the callbacks: what the others write of an epoch is there
    before the state says that the epoch is done.

    Args:
        directory: the run folder.
        state: of the run; the newest checkpoint is what the model starts from.
        images_per_epoch: number of training images.
        judge: knows the validation figure that decides what is best.
        keep: checkpoints that are kept.
        seconds: between two checkpoints within an epoch.
        stop: tells of signals.
        averages: of the weights, which the files then hold; None for the weights
            themselves.
    """

    def __init__(
        self,
        directory: Path,
        state: RunState,
        *,
        images_per_epoch: int,
        judge: Judge,
        keep: int,
        seconds: float,
        stop: Stop,
        averages: AveragedWeights | None = None,
    ):
        super().__init__()
        self._directory, self.state, self._stop = directory, state, stop
        self._judge, self._keep, self._seconds = judge, keep, seconds
        self._images_per_epoch, self._averages = images_per_epoch, averages
        self._start = state.checkpoints[0]

    @property
    def newest(self) -> Path:
        """The file of the newest checkpoint."""
        return self._directory / self.state.checkpoints[0].file

    def on_train_begin(self, logs=None):
        """Starts the clock."""
        self._saved_at = time.monotonic()

    def on_epoch_begin(self, epoch, logs=None):
        """Notes where the epoch begins."""
        self._epoch = epoch
        self._first = self._start.batch if epoch == self._start.epoch else 0
        self._rate = self._start.rate if self._first else learning_rate(self.model)

    def on_train_batch_begin(self, batch, logs=None):
        """Lets a signal wait for the end of the step."""
        self._stop.is_awaited = True

    def on_train_batch_end(self, batch, logs=None):
        """Writes a checkpoint if it is time to."""
        done = self._first + batch + 1
        is_last = done == self.state.steps_per_epoch
        is_due = time.monotonic() - self._saved_at >= self._seconds
        if is_last or is_due or self._stop.number is not None:
            self._save(done)
        self._stop.is_awaited = False
        self._stop.obey()

    def on_epoch_end(self, epoch, logs=None):
        """Notes that the epoch is done, and its weights if they are the best."""
        newest, *older = self.state.checkpoints
        newest = newest.model_copy(
            update={
                **{"epoch": epoch + 1, "batch": 0, "rate": 0.0},
                **{"losses": {}, "figures": {}},
            }
        )
        figure, best = self._judge.figure, self.state.best
        value = float(logs.get(figure, np.nan))
        if is_better(figure, value, None if best is None else best.value):
            _give_name(self._directory / newest.file, self._directory / BEST_WEIGHTS)
            best = Best(
                file=BEST_WEIGHTS,
                sha256=newest.sha256,
                figure=figure,
                value=value,
                epoch=epoch + 1,
            )
        self._write(
            self.state.replace(
                checkpoints=(newest, *older),
                best=best,
                standing=self._judge.standing,
            )
        )

    def _save(self, batch: int) -> None:
        steps = self.state.steps_per_epoch
        step = self._start.step + (self._epoch - self._start.epoch) * steps
        step += batch - self._start.batch
        file = _NAME.format(step)
        with self._averages.in_model() if self._averages else contextlib.nullcontext():
            digest = save_weights(self.model, self._directory / file)
        done = self._epoch + batch / steps
        checkpoint = Checkpoint(
            file=file,
            sha256=digest,
            epoch=self._epoch,
            batch=batch,
            step=step,
            images=round(done * self._images_per_epoch),
            rate=self._rate,
            losses={n: mean_of(m) for n, m in self.model.trackers.by_name.items()},
            figures=self.model.trackers.figures.sums(),
        )
        others = [c for c in self.state.checkpoints if c.file != file]
        kept = (checkpoint, *others)[: self._keep]
        self._write(self.state.replace(checkpoints=kept))
        self._saved_at = time.monotonic()

    def _write(self, state: RunState) -> None:
        write_state(self._directory, state)
        self.state = state
        remove_others(self._directory, state)


class EarlierLosses(keras.callbacks.Callback):
    """Goes on with the means of an epoch that was interrupted.

    Args:
        start: where training begins.
    """

    def __init__(self, start: Checkpoint):
        super().__init__()
        self._start = start

    def on_epoch_begin(self, epoch, logs=None):
        """Sets the means."""
        if epoch == self._start.epoch and self._start.batch:
            for name, tracker in self.model.trackers.by_name.items():
                if name in self._start.losses:
                    set_mean(tracker, self._start.losses[name])
            self.model.trackers.figures.set_sums(self._start.figures)


def write_first_checkpoint(
    directory: Path, model: keras.Model, state: RunState
) -> RunState:
    """Writes the weights that a run starts from; returns the state with them."""
    digest = save_weights(model, directory / FIRST)
    state = state.replace(checkpoints=(Checkpoint(file=FIRST, sha256=digest),))
    write_state(directory, state)
    return state


def usable_checkpoint(directory: Path, state: RunState) -> Checkpoint | None:
    """Returns the newest checkpoint that is as it was written; warns of others.

    Raises:
        ValueError: there are some, but none is.
    """
    for number, checkpoint in enumerate(state.checkpoints):
        if is_as_written(directory, checkpoint):
            return checkpoint
        path = directory / checkpoint.file
        fault = "was changed or cut" if path.is_file() else "is missing"
        is_last = number + 1 == len(state.checkpoints)
        if is_last:
            raise ValueError(
                f"{path} {fault}, and so are all checkpoints of the run. Start another "
                "one, from its best weights by --init if they are there."
            )
        warnings.warn(f"{path} {fault}; the checkpoint before is used.", stacklevel=2)
    return None


def remove_others(directory: Path, state: RunState) -> None:
    """Removes checkpoints that the state does not name, and half-written files."""
    kept = {directory / checkpoint.file for checkpoint in state.checkpoints}
    folder = directory / "weights"
    remove_parts(folder)
    for path in folder.glob(_ALL):
        if path not in kept:
            path.unlink()


def mean_of(metric: keras.metrics.Mean) -> tuple[float, float]:
    """Returns the sum and the weight of a mean."""
    total, count = (float(_local(v)[0].numpy()) for v in metric.variables)
    return total, count


def set_mean(metric: keras.metrics.Mean, values: Sequence[float]) -> None:
    """Sets what `mean_of` returns."""
    for variable, value in zip(metric.variables, values, strict=True):
        for part in _local(variable):
            part.assign(value)


def _local(variable: keras.Variable) -> Sequence[tf.Variable]:
    """Returns a variable's copies on this process's devices.

    The variable itself would ask other workers for theirs, and add them up.
    """
    return getattr(variable.value, "values", (variable.value,))


def _give_name(path: Path, name: Path) -> None:
    """Makes `name` another name of a file, or a copy where that cannot be."""
    with replaced(name) as part:
        part.unlink(missing_ok=True)
        try:
            os.link(path, part)
        except OSError:
            shutil.copyfile(path, part)
