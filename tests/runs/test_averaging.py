"""Averages of the weights, by hand, in files, and across the death of a run."""

import csv

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.paths import QUICKSTART
from tf_frcnn.config import load_config
from tf_frcnn.models.optimizer import step_count
from tf_frcnn.models.trackers import Trackers
from tf_frcnn.runs.averaging import AveragedWeights
from tf_frcnn.runs.checkpoints import Checkpoints, write_first_checkpoint
from tf_frcnn.runs.inference import load
from tf_frcnn.runs.signals import Stop
from tf_frcnn.runs.standing import Judge
from tf_frcnn.runs.state import RunState, Standing, read_state
from tf_frcnn.runs.training import train

pytestmark = pytest.mark.usefixtures("eager_steps")


def line(scales_loss=False):
    """A model of one weight, 0 at first."""
    layer = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")
    model = keras.Sequential([keras.Input((1,)), layer])
    optimizer = keras.optimizers.SGD(0.25)
    if scales_loss:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    model.compile(optimizer, "mse", run_eagerly=True)
    model.optimizer.build(model.trainable_variables)
    model.trackers = Trackers(["loss"])
    return model


def weight_of(model):
    return model.trainable_variables[0].numpy().item()


def take_step(model, weight):
    """Does what a step does: moves the weight, counts."""
    model.trainable_variables[0].assign([[weight]])
    step_count(model.optimizer).assign_add(1)


@pytest.mark.parametrize("devices", [None, ["CPU:0"]], ids=["default", "mirrored"])
@pytest.mark.parametrize("scales_loss", [False, True])
def test_the_average_by_hand(scales_loss, devices):
    strategy = tf.distribute.get_strategy()
    strategy = tf.distribute.MirroredStrategy(devices) if devices else strategy
    with strategy.scope():
        model = line(scales_loss)
        averages = AveragedWeights(model, 0.25)
    averages.begin()
    averages.on_epoch_begin(0)
    average = 0.0
    # 2/11 and 3/12 after the first steps are less, 4/13 is more.
    for weight, momentum in [(11.0, 2 / 11), (3.0, 0.25), (1.0, 0.25), (0.1, 0.25)]:
        take_step(model, weight)
        averages.on_train_batch_end(0)
        average = momentum * average + (1 - momentum) * weight
        assert weight_of(model) == np.float32(weight)
        with averages.in_model():
            assert weight_of(model) == pytest.approx(average, rel=1e-6)
    assert weight_of(model) == np.float32(0.1)


def test_a_change_of_places_loses_no_digit():
    model = line()
    averages = AveragedWeights(model, 0.5)
    take_step(model, 1.0)
    averages.begin()
    averages.on_epoch_begin(0)
    take_step(model, 1e-20)
    for _ in range(3):
        averages.on_test_begin()
        averages.on_test_begin()
        assert weight_of(model) == 1.0
        averages.on_epoch_begin(1)
        averages.on_epoch_begin(1)
        assert weight_of(model) == np.float32(1e-20)


def test_averages_are_validated_and_left_while_training_goes_on_without():
    model, validated, trained = line(), [], []
    averages = AveragedWeights(model, 0.999)
    averages.begin()
    note = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda *_, **__: trained.append(weight_of(model)),
        on_epoch_end=lambda *_, **__: validated.append(weight_of(model)),
    )
    data = tf.ones([1, 1]), tf.ones([1, 1])
    model.fit(
        *data,
        epochs=4,
        validation_data=data,
        validation_freq=2,
        callbacks=[note, averages],
        verbose=0,
    )
    # Each step halves the distance to 1.
    assert trained == [0.5, 0.75, 0.875, 0.9375]
    expected, average = [], 0.0
    for step, weight in enumerate(trained, 1):
        average += 9 / (10 + step) * (weight - average)
        expected.append(average)
    assert validated[0] == 0.5 and validated[2] == 0.875
    np.testing.assert_allclose(validated[1::2], expected[1::2], rtol=1e-6)
    assert weight_of(model) == validated[3]


def test_files_hold_the_averages_and_what_training_goes_on_with(tmp_path):
    model = line()
    averages = AveragedWeights(model, 0.5)
    take_step(model, 4.0)
    averages.begin()
    state = write_first_checkpoint(tmp_path, model, RunState(steps_per_epoch=1))
    keeping = Checkpoints(
        tmp_path,
        state,
        images_per_epoch=1,
        judge=Judge("val_mAP", Standing(), patience=None, plateau_patience=3),
        keep=2,
        seconds=1e9,
        stop=Stop(),
        averages=averages,
    )
    keeping.set_model(model)
    keeping.on_train_begin()
    for callback in (averages, keeping):
        callback.on_epoch_begin(0)
    take_step(model, 8.0)
    for callback in (averages, keeping):
        callback.on_train_batch_end(0)
    assert weight_of(model) == 8.0
    averages.on_test_begin()
    keeping.on_epoch_end(0, {"val_mAP": 0.5})
    first, newest, best = (
        tmp_path / own.file
        for own in (*state.checkpoints, *read_state(tmp_path).checkpoints[:1],
                    read_state(tmp_path).best)
    )  # fmt: skip
    # After step 2 the momentum is 3/12.
    for file, average, weight in [(first, 4.0, 4.0), (newest, 7.0, 8.0), (best, 7, 8)]:
        other = line()
        loaded = AveragedWeights(other, 0.5)
        other.load_weights(file)
        assert weight_of(other) == average
        loaded.on_epoch_begin(1)
        assert weight_of(other) == weight


SMALL = (
    *("data.num_train=4", "data.num_validation=1", "data.num_test=1"),
    *("images.short_side=64", "images.long_side=96", "images.canvases=[[96, 96]]"),
    *("rpn.channels=8", "roi.head_units=8", "roi.num_samples=8"),
    *("proposals.train_pre_nms=60", "proposals.train_post_nms=20"),
    *("proposals.test_pre_nms=40", "proposals.test_post_nms=10"),
    *(
        "data.batch_size=2",
        "train.epochs=2",
        "train.keep_images=0",
        "train.validation_every=1",
    ),
    *("train.learning_rate=0.02", "train.save_minutes=0.000001", "train.ema=0.5"),
)


class KilledError(Exception):
    pass


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    """The folder of a run that nothing interrupted, and its model."""
    folder = tmp_path_factory.mktemp("whole")
    return folder / "run", train(load_config(QUICKSTART, SMALL), folder / "run")


@pytest.mark.slow
def test_a_run_killed_in_a_validation_ends_with_the_averages_and_weights_of_a_whole_one(
    whole_run, tmp_path, monkeypatch
):
    config, (folder, whole) = load_config(QUICKSTART, SMALL), whole_run

    def kill(self, *_, **__):
        raise KilledError

    with monkeypatch.context() as patch, pytest.raises(KilledError):
        patch.setattr(AveragedWeights, "on_test_begin", kill)
        train(config, tmp_path)
    resumed = train(config, tmp_path, resume=True)
    assert_equal_variables(resumed.weights, whole.weights)
    assert_equal_variables(resumed.optimizer.variables, whole.optimizer.variables)
    best = load(folder)
    assert_equal_variables(load(tmp_path).weights, best.weights)
    assert (tmp_path / "log.csv").read_text() == (folder / "log.csv").read_text()


def assert_equal_variables(variables, expected):
    for own, other in zip(variables, expected, strict=True):
        np.testing.assert_array_equal(own.numpy(), other.numpy())


@pytest.mark.slow
def test_training_goes_on_as_without_averages(whole_run, tmp_path):
    folder, model = whole_run
    plain = train(load_config(QUICKSTART, [*SMALL, "train.ema=0"]), tmp_path)
    trained = [v for v in model.optimizer.variables if v.name.endswith("_trained")]
    assert_equal_variables(trained, plain.trainable_variables)
    rows = [
        list(csv.DictReader((path / "log.csv").open(newline="")))
        for path in (folder, tmp_path)
    ]
    for averaged, own in zip(*rows, strict=True):
        assert averaged["loss"] == own["loss"]
        assert averaged["val_loss"] != own["val_loss"]
    # The averages are in the model and in the best weights.
    for one in (model, load(folder)):
        for weight, value in zip(one.trainable_variables, trained, strict=True):
            assert not np.array_equal(weight.numpy(), value.numpy()), weight.path
