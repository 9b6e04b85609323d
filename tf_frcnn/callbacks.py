"""What happens at the end of each epoch of a run."""

import csv
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tf_frcnn.data import ExampleSet
from tf_frcnn.evaluation import DetectedBoxes, evaluate_voc
from tf_frcnn.inference import (
    BEST_WEIGHTS,
    LAST_WEIGHTS,
    detect,
    ground_truth_of,
)

LOG_FILE = "log.csv"


class ValidationMAP(keras.callbacks.Callback):
    """Adds `val_mAP` to the logs, so that callbacks after it can monitor it.

    Args:
        examples: the validation set.
        batches: its evaluation batches.
        every: epochs from one validation to the next; the last epoch is validated too.
        on_detections: called with the epoch (from 0) and the detections.
        **metric: keyword arguments of `evaluate_voc`.
    """

    def __init__(
        self,
        examples: ExampleSet,
        batches: tf.data.Dataset,
        *,
        every: int = 1,
        on_detections: Callable[[int, DetectedBoxes], None] | None = None,
        **metric,
    ):
        super().__init__()
        self.examples, self.batches, self.every = examples, batches, every
        self.on_detections, self.metric = on_detections, metric

    def on_epoch_end(self, epoch, logs=None):
        """Detects, evaluates, and adds the result to the logs."""
        if (epoch + 1) % self.every and epoch + 1 < self.params["epochs"]:
            return
        detections = detect(self.model, self.examples, self.batches)
        num_classes = len(self.examples.class_names)
        truth = ground_truth_of(self.examples)
        result = evaluate_voc(truth, detections, num_classes, **self.metric)
        logs["val_mAP"] = float(np.nan_to_num(result.mean))
        if self.on_detections:
            self.on_detections(epoch, detections)


class RunLog(keras.callbacks.Callback):
    """Keeps the logs of all epochs in a CSV file and as TensorBoard scalars.

    Args:
        directory: the run folder.
        writer: of TensorBoard summaries.
        start_epoch: rows from this epoch on, of an interrupted run, are dropped.
    """

    def __init__(
        self, directory: Path, writer: tf.summary.SummaryWriter, start_epoch: int = 0
    ):
        super().__init__()
        self.path, self.writer = directory / LOG_FILE, writer
        self.rows = _read_rows(self.path)[:start_epoch]

    @property
    def best_map(self) -> float:
        """The highest `val_mAP` so far, -1 if there is none."""
        return max([-1.0, *(float(row.get("val_mAP") or -1.0) for row in self.rows)])

    def on_epoch_begin(self, epoch, logs=None):
        """Notes the learning rate that the epoch starts with."""
        rate = self.model.optimizer.learning_rate
        self.rate = float(keras.ops.convert_to_numpy(rate))

    def on_epoch_end(self, epoch, logs=None):
        """Adds a row for the epoch."""
        logs["learning_rate"] = self.rate
        self.rows.append({"epoch": epoch + 1, **logs})
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        with self.path.open("w", newline="") as file:
            table = csv.DictWriter(file, names)
            table.writeheader()
            table.writerows(self.rows)
        with self.writer.as_default(step=epoch + 1):
            for name, value in logs.items():
                tf.summary.scalar(name, value)
        self.writer.flush()


class LastWeights(keras.callbacks.Callback):
    """Saves the weights and the optimizer's state after each epoch.

    The optimizer's step tells how far a run has come, so nothing else is needed to
    resume it.

    Args:
        directory: the run folder.
    """

    def __init__(self, directory: Path):
        super().__init__()
        self.path = directory / LAST_WEIGHTS

    def on_epoch_end(self, epoch, logs=None):
        """Saves the weights."""
        _save(self.model, self.path)


class BestWeights(keras.callbacks.Callback):
    """Saves the weights of the highest `val_mAP`.

    Args:
        directory: the run folder.
        best_map: the highest `val_mAP` of the epochs before.
    """

    def __init__(self, directory: Path, best_map: float = -1.0):
        super().__init__()
        self.path, self.best_map = directory / BEST_WEIGHTS, best_map

    def on_epoch_end(self, epoch, logs=None):
        """Saves the weights if they are better than any before."""
        if logs.get("val_mAP", -1.0) > self.best_map:
            self.best_map = logs["val_mAP"]
            _save(self.model, self.path)


def _save(model: keras.Model, path: Path) -> None:
    """Saves beside the file, then moves: an interrupted write leaves the old file."""
    path.parent.mkdir(exist_ok=True)
    part = path.with_name("part." + path.name)
    model.save_weights(part)
    os.replace(part, path)


def _read_rows(path: Path) -> Sequence[dict]:
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
