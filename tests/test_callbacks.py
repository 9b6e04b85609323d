import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn import callbacks
from tf_frcnn.callbacks import MeanAveragePrecision
from tf_frcnn.config import Config, TileSettings
from tf_frcnn.data import ExampleSet, Problems, Record
from tf_frcnn.evaluation import DetectedBoxes
from tf_frcnn.models.evaluating import ground_truth_of


@pytest.fixture
def line():
    """A model of one weight, which every epoch moves, with what a detector has."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.settings, model.class_names = Config(), ("wide", "tall")
    model.compile(keras.optimizers.SGD(0.1), "mse")
    return model


@pytest.fixture(scope="module")
def two_images():
    """Two objects of the first class and one of the second on two images."""
    boxes = np.array([[0, 0, 9, 9], [20, 20, 50, 60], [5, 5, 40, 20]], np.float32)
    columns = boxes, np.array([0, 0, 1]), np.zeros(3, bool), np.zeros(3, bool)
    records = tuple(
        Record(name, f"{name}.png", 80, 80, 1, *(column[rows] for column in columns))
        for name, rows in (("a", slice(0, 1)), ("b", slice(1, 3)))
    )
    return ExampleSet("two", ("wide", "tall"), records, Problems(), images=None)


def fit(model, callbacks, epochs=4):
    ones = np.ones([2, 1])
    return model.fit(ones, 3 * ones, epochs=epochs, verbose=0, callbacks=callbacks)


@pytest.fixture
def detected(monkeypatch, two_images):
    """Makes the callback find so many of the objects, validation by validation."""
    truth = ground_truth_of(two_images)

    def plan(*counts):
        left = list(counts)

        def observe(model, examples):
            rows = slice(left.pop(0))
            scores = np.ones(len(truth.labels))
            columns = (truth.image_index, truth.boxes, scores, truth.labels)
            return truth, DetectedBoxes(*(column[rows] for column in columns))

        monkeypatch.setattr(callbacks, "observe", observe)
        return left

    return plan


def test_the_map_joins_the_logs_of_validated_epochs_and_of_the_last(
    line, two_images, detected
):
    left = detected(0, None, None)
    seen = []
    validation = MeanAveragePrecision(
        two_images,
        every=2,
        by_class=True,
        on_evaluation=lambda *call: seen.append(call),
    )
    history = fit(line, [validation], epochs=5).history
    assert history["val_mAP"] == [0.0, 1.0, 1.0]  # after epochs 2, 4 and 5
    assert left == []
    epochs, truths, found, results = zip(*seen, strict=True)
    assert epochs == (1, 3, 4)
    assert [len(own.labels) for own in found[:2]] == [0, 3]
    assert all(len(truth.labels) == 3 for truth in truths)
    assert [result.mean for result in results] == history["val_mAP"]
    by_class = {n: values for n, values in history.items() if "AP/" in n}
    assert by_class.keys() == {f"val_AP/{name}" for name in line.class_names}
    assert all(values == history["val_mAP"] for values in by_class.values())


@pytest.mark.parametrize(
    ("metric", "average_precision"), [("area", 1 / 2), ("11-point", 6 / 11)]
)
def test_the_map_is_that_of_the_metric_asked_for(
    line, two_images, detected, metric, average_precision
):
    detected(1)  # one of two objects of the first class, none of the second
    validation = MeanAveragePrecision(two_images, metric=metric)
    history = fit(line, [validation], epochs=1).history
    assert history["val_mAP"] == [pytest.approx(average_precision / 2)]


def test_callbacks_placed_after_it_can_monitor_the_map(
    line, two_images, detected, tmp_path
):
    detected(0, 2, None, 1, 1, 1)
    weights = []
    keep = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: weights.append(line.get_weights()[0])
    )
    monitor = {"monitor": "val_mAP", "mode": "max"}
    path = tmp_path / "best.weights.h5"
    best = keras.callbacks.ModelCheckpoint(
        path, save_best_only=True, save_weights_only=True, **monitor
    )
    stop = keras.callbacks.EarlyStopping(patience=2, **monitor)
    validation = MeanAveragePrecision(two_images)
    history = fit(line, [validation, keep, best, stop], epochs=6).history
    # The third epoch is the best; two without an improvement end the training.
    assert history["val_mAP"][2] == 1.0 and len(history["val_mAP"]) == 5
    line.load_weights(path)
    np.testing.assert_array_equal(line.get_weights()[0], weights[2])


def test_data_in_which_nothing_can_be_detected_is_refused_at_once(line):
    line.settings = Config(tiles=TileSettings(size=(64, 64)))
    image = {
        "image": tf.zeros([8, 8, 3], tf.uint8),
        "boxes": tf.zeros([0, 4]),
        "labels": tf.zeros([0], tf.int32),
    }
    data = tf.data.Dataset.from_tensors(image)
    before = line.get_weights()
    for own, said in [(data, "needs data of read_data"), (data.repeat(), "endless")]:
        with pytest.raises(ValueError, match=said):
            fit(line, [MeanAveragePrecision(own)])
    np.testing.assert_array_equal(before, line.get_weights())
