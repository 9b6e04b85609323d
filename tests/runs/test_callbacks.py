import csv

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.runs.callbacks import BestWeights, LastWeights, RunLog

BEST, LAST = "weights/best.weights.h5", "weights/last.weights.h5"


@pytest.fixture
def line():
    """A model of one weight, which every epoch of training moves."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model


@pytest.fixture
def log_of(line, tmp_path):
    """Makes a `RunLog` of the folder."""

    def make(start_epoch=0):
        writer = tf.summary.create_file_writer(str(tmp_path / "tensorboard"))
        log = RunLog(tmp_path, writer, start_epoch)
        log.set_model(line)
        log.on_epoch_begin(start_epoch)
        return log

    return make


def rows_of(folder):
    with (folder / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def set_weight(model, value):
    model.set_weights([np.full([1, 1], value)])


def weight_in(path, model):
    model.load_weights(path)
    return float(model.get_weights()[0][0, 0])


def fit(model, callbacks, epochs=4):
    ones = np.ones([2, 1])
    return model.fit(ones, 3 * ones, epochs=epochs, verbose=0, callbacks=callbacks)


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
    resumed = log_of(start_epoch=2)
    assert resumed.best("val_mAP") == 0.5  # 0.9 is of the epoch that will be repeated
    resumed.on_epoch_end(2, {"loss": 7.0})
    rows = rows_of(tmp_path)
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert [row["loss"] for row in rows] == ["0.0", "1.0", "7.0"]
    assert [row["val_mAP"] for row in rows] == ["0.3", "0.5", ""]


def test_a_new_run_forgets_the_log_of_another(log_of, tmp_path):
    log_of().on_epoch_end(0, {"loss": 1.0, "val_mAP": 0.5})
    log = log_of(start_epoch=0)
    assert log.best("val_mAP") == -1.0
    log.on_epoch_end(0, {"loss": 2.0})
    assert [row["loss"] for row in rows_of(tmp_path)] == ["2.0"]


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


def test_the_best_weights_stay_when_worse_ones_come(line, tmp_path):
    best = BestWeights(tmp_path)
    best.set_model(line)
    for epoch, (weight, value) in enumerate([(1, 0.0), (2, 0.6), (3, 0.4), (4, 0.6)]):
        set_weight(line, weight)
        best.on_epoch_end(epoch, {"val_mAP": value})
    assert weight_in(tmp_path / BEST, line) == 2  # the first of two as good


def test_epochs_that_were_not_validated_are_not_the_best(line, tmp_path):
    best = BestWeights(tmp_path)
    best.set_model(line)
    best.on_epoch_end(0, {"loss": 0.1})
    assert not (tmp_path / BEST).exists()


def test_a_resumed_run_keeps_the_best_weights_from_before(line, tmp_path):
    best = BestWeights(tmp_path, best=0.5)
    best.set_model(line)
    best.on_epoch_end(3, {"val_mAP": 0.4})
    assert not (tmp_path / BEST).exists()
    best.on_epoch_end(4, {"val_mAP": 0.7})
    assert (tmp_path / BEST).is_file()


def test_the_last_weights_hold_the_optimizers_state(line, tmp_path):
    fit(line, [LastWeights(tmp_path)], epochs=3)
    weight = line.get_weights()[0]
    set_weight(line, -1)
    line.optimizer.iterations.assign(0)
    line.load_weights(tmp_path / LAST)
    np.testing.assert_array_equal(line.get_weights()[0], weight)
    assert int(line.optimizer.iterations) == 3  # one batch an epoch


def test_an_interrupted_write_leaves_the_weights_from_before(
    line, tmp_path, monkeypatch
):
    last = LastWeights(tmp_path)
    last.set_model(line)
    set_weight(line, 5)
    last.on_epoch_end(0)

    def break_off(path):
        path.write_bytes(b"half a file")
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(line, "save_weights", break_off)
        with pytest.raises(OSError, match="No space"):
            last.on_epoch_end(1)
    set_weight(line, -1)
    assert weight_in(tmp_path / LAST, line) == 5
