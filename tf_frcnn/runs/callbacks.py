"""The callbacks of a run."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from tf_frcnn.data import ExampleSet
from tf_frcnn.evaluation import proposal_recall
from tf_frcnn.models.evaluating import ground_truth_of, propose
from tf_frcnn.models.optimizer import step_count
from tf_frcnn.models.training_figures import TIMES
from tf_frcnn.runs.logs import LOG_FILE, TIMES_FILE, LogTable
from tf_frcnn.runs.state import Checkpoint
from tf_frcnn.runs.writing import named_errors

SUMMARIES_FOLDER = "tensorboard"


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
    """Keeps the logs of all epochs in two CSV files and as TensorBoard scalars.

    Args:
        directory: the run folder.
        writer: of TensorBoard summaries.
        start: where training begins.
    """

    def __init__(
        self, directory: Path, writer: tf.summary.SummaryWriter, start: Checkpoint
    ):
        super().__init__()
        self._directory, self.writer, self._start = directory, writer, start
        self._log = LogTable(directory / LOG_FILE, start.epoch)
        self._times = LogTable(directory / TIMES_FILE, start.epoch)

    def on_epoch_begin(self, epoch, logs=None):
        """Notes the learning rate that the epoch starts with."""
        is_begun = epoch == self._start.epoch and self._start.batch > 0
        self.rate = self._start.rate if is_begun else learning_rate(self.model)

    def on_epoch_end(self, epoch, logs=None):
        """Adds a row for the epoch."""
        before = {}
        if "loss" not in logs:  # An earlier process had all of the epoch's batches.
            # Keras sorts the names, too.
            losses = sorted(self._start.losses.items())
            before = {name: mean(*own) for name, own in losses}
        logs |= {**before, "learning_rate": self.rate}
        place = {
            "epoch": epoch + 1,
            "step": int(step_count(self.model.optimizer).numpy()),
        }
        own = {n: value for n, value in logs.items() if n not in TIMES}
        self._log.add(place | before | own)
        if times := {n: logs[n] for n in TIMES if n in logs}:
            self._times.add(place | times)
        with named_errors(self._directory / SUMMARIES_FOLDER):
            with self.writer.as_default(step=epoch + 1):
                for name, value in logs.items():
                    tf.summary.scalar(name, value)
            self.writer.flush()


def learning_rate(model: keras.Model) -> float:
    """Returns the rate of the next step."""
    return float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))


def mean(total: float, weight: float) -> float:
    """Returns a mean as `keras.metrics.Mean` computes it."""
    return float(np.float32(total) / np.float32(weight))
