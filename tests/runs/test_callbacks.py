import csv

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.runs.callbacks import RunLog
from tf_frcnn.runs.state import Checkpoint


@pytest.fixture
def line():
    """A model of one weight, which every epoch of training moves."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model


@pytest.fixture
def log_of(line, tmp_path):
    """Makes a `RunLog` of the folder."""

    def make(**start):
        writer = tf.summary.create_file_writer(str(tmp_path / "tensorboard"))
        start = Checkpoint(file="weights/a.h5", sha256="", **start)
        log = RunLog(tmp_path, writer, start)
        log.set_model(line)
        log.on_epoch_begin(start.epoch)
        return log

    return make


def rows_of(folder):
    with (folder / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_log_has_one_row_per_epoch_and_the_learning_rate(log_of, tmp_path):
    log = log_of()
    log.on_epoch_end(0, {"loss": 2.5})
    log.on_epoch_end(1, {"loss": 1.5, "val_mAP": 0.25})
    first, second = rows_of(tmp_path)
    assert (first["epoch"], first["loss"], first["val_mAP"]) == ("1", "2.5", "")
    assert (second["epoch"], second["loss"], second["val_mAP"]) == ("2", "1.5", "0.25")
    assert float(first["learning_rate"]) == pytest.approx(0.1)


def test_a_resumed_log_drops_the_rows_that_are_repeated(log_of, tmp_path):
    log = log_of()
    for epoch, value in enumerate((0.3, 0.5, 0.9)):
        log.on_epoch_end(epoch, {"loss": float(epoch), "val_mAP": value})
    resumed = log_of(epoch=2)
    resumed.on_epoch_end(2, {"loss": 7.0})
    rows = rows_of(tmp_path)
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert [row["loss"] for row in rows] == ["0.0", "1.0", "7.0"]
    assert [row["val_mAP"] for row in rows] == ["0.3", "0.5", ""]


def test_a_new_run_forgets_the_log_of_another(log_of, tmp_path):
    log_of().on_epoch_end(0, {"loss": 1.0, "val_mAP": 0.5})
    log = log_of()
    log.on_epoch_end(0, {"loss": 2.0})
    assert [row["loss"] for row in rows_of(tmp_path)] == ["2.0"]


def test_an_epoch_that_was_interrupted_keeps_its_rate_and_its_means(log_of, tmp_path):
    losses = {"loss": (3.0, 4.0), "rpn_box_loss": (1.0, 3.0)}
    log = log_of(epoch=0, batch=4, rate=0.5, losses=losses)
    log.on_epoch_end(0, {"val_mAP": 0.25})  # Nothing but its validation was missing.
    log.on_epoch_begin(1)
    log.on_epoch_end(1, {"loss": 0.5, "rpn_box_loss": 0.25})
    first, second = rows_of(tmp_path)
    assert (first["loss"], first["val_mAP"], second["loss"]) == ("0.75", "0.25", "0.5")
    assert first["rpn_box_loss"] == str(float(np.float32(1) / np.float32(3)))
    assert first["learning_rate"] == "0.5"
    assert float(second["learning_rate"]) == pytest.approx(0.1)


def test_the_logs_become_tensorboard_scalars(log_of, tmp_path):
    log = log_of()
    for epoch in range(2):
        log.on_epoch_end(epoch, {"loss": 2.5 - epoch})
    (path,) = (tmp_path / "tensorboard").iterdir()
    found = {
        (value.tag, event.step): float(tf.make_ndarray(value.tensor))
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
    }
    assert found.keys() == {(n, s) for n in ("loss", "learning_rate") for s in (1, 2)}
    assert (found["loss", 1], found["loss", 2]) == (2.5, 1.5)


def test_the_columns_are_in_the_order_of_a_run_that_was_not_interrupted(
    log_of, tmp_path
):
    log_of().on_epoch_end(0, {"decay_loss": 1.0, "loss": 2.0, "val_mAP": 0.25})
    whole = (tmp_path / "log.csv").read_text()
    losses = {"loss": (4.0, 2.0), "decay_loss": (2.0, 2.0)}
    resumed = log_of(epoch=0, batch=2, rate=log_of().rate, losses=losses)
    resumed.on_epoch_end(0, {"val_mAP": 0.25})
    assert (tmp_path / "log.csv").read_text() == whole
