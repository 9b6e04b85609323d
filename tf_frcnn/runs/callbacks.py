"""The callbacks of a run."""

import csv
import os
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tf_frcnn.data import ExampleSet
from tf_frcnn.evaluation import proposal_recall
from tf_frcnn.models.evaluating import ground_truth_of, propose
from tf_frcnn.runs.inference import BEST_WEIGHTS, LAST_WEIGHTS

LOG_FILE = "log.csv"


class ValidationRecall(keras.callbacks.Callback):
    """Adds `val_recall`, the proposals' average recall over IoU 0.5 to 1, to the logs.

    Args:
        examples: the validation set.
        num_proposals: number of best proposals per image that count.
        every: epochs from one validation to the next; the last epoch is validated too.
    """

    adds_to_logs = True

    def __init__(self, examples: ExampleSet, *, num_proposals: int, every: int = 1):
        super().__init__()
        self.examples, self.every = examples, every
        self.num_proposals = num_proposals

    def on_epoch_end(self, epoch, logs=None):
        """Proposes, measures, and adds the result to the logs."""
        if (epoch + 1) % self.every and epoch + 1 < self.params["epochs"]:
            return
        recall = proposal_recall(
            ground_truth_of(self.examples),
            propose(self.model, self.examples, training=False),
            num_proposals=[self.num_proposals],
        )
        logs["val_recall"] = float(np.nan_to_num(recall.average_recalls[0]))


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

    def best(self, figure: str) -> float:
        """Returns the highest value of a figure so far, -1 if it has none."""
        return max([-1.0, *(float(row.get(figure) or -1.0) for row in self.rows)])

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
        save_weights(self.model, self.path)


class BestWeights(keras.callbacks.Callback):
    """Saves the weights of the highest validation figure.

    Args:
        directory: the run folder.
        figure: its name in the logs, such as "val_mAP".
        best: the highest value of the epochs before.
    """

    def __init__(self, directory: Path, figure: str = "val_mAP", best: float = -1.0):
        super().__init__()
        self.path, self.figure, self.best = directory / BEST_WEIGHTS, figure, best

    def on_epoch_end(self, epoch, logs=None):
        """Saves the weights if they are better than any before."""
        if logs.get(self.figure, -1.0) > self.best:
            self.best = logs[self.figure]
            save_weights(self.model, self.path)


def save_weights(model: keras.Model, path: Path) -> None:
    """Saves beside the file, then moves: an interrupted write leaves the old file."""
    path.parent.mkdir(exist_ok=True)
    part = path.with_name("part." + path.name)
    model.save_weights(part)
    os.replace(part, path)


def _read_rows(path: Path) -> list[dict]:
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
