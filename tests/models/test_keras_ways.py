"""What someone who knows Keras expects of a detector, beside its ways with data."""

import csv
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.optimizers import SGD

from tf_frcnn.callbacks import MeanAveragePrecision
from tf_frcnn.config import ConfigError
from tf_frcnn.models import FasterRCNN, NonFiniteError
from tf_frcnn.models.optimizer import AdamW


@pytest.fixture
def data(batch):
    """Three batches of the two images."""
    return tf.data.Dataset.from_tensors(batch).repeat(3)


def kernels_of(model):
    return np.concatenate([w.numpy().ravel() for w in model.trainable_weights])


# The optimizer ----------------------------------------------------------------------

SCHEDULE = keras.optimizers.schedules.PiecewiseConstantDecay([1, 2], [0.001, 0.01, 0.0])


@pytest.mark.slow
@pytest.mark.parametrize(
    "optimizer",
    [None, "adam", SGD(SCHEDULE), keras.optimizers.AdamW(1e-4), SGD(0.001, clipnorm=1)],
    ids=["the recipe's", "by name", "scheduled", "decaying", "clipping"],
)
def test_any_optimizer_moves_every_weight(optimizer, eager_detector, data):
    model = eager_detector(optimizer)
    before = [weight.numpy() for weight in model.trainable_weights]
    history = model.fit(data, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    for old, new in zip(before, model.trainable_weights, strict=True):
        assert not np.array_equal(old, new.numpy()), new.path


def test_compile_alone_takes_the_recipes_optimizer(eager_detector):
    model = eager_detector(train={"learning_rate": 0.02, "momentum": 0.7})
    assert isinstance(model.optimizer, SGD)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.02)
    assert model.optimizer.momentum == 0.7 and model.optimizer.global_clipnorm == 1.0


@pytest.mark.slow
def test_a_schedule_follows_the_steps(eager_detector, data):
    model = eager_detector(SGD(SCHEDULE))
    seen = []

    def note(batch, logs):
        seen.append((kernels_of(model), float(model.optimizer.learning_rate)))

    callback = keras.callbacks.LambdaCallback(on_train_batch_end=note)
    model.fit(data.repeat(2), verbose=0, callbacks=[callback])
    assert [rate for _, rate in seen] == pytest.approx([0.001, 0.01, 0, 0, 0, 0])
    assert not np.array_equal(seen[1][0], seen[2][0])
    np.testing.assert_array_equal(seen[4][0], seen[5][0])


@pytest.mark.slow
def test_callbacks_set_a_constant_rate(eager_detector, data):
    model = eager_detector()
    plateau = keras.callbacks.ReduceLROnPlateau("loss", 0.5, patience=1, min_delta=99)
    history = model.fit(data, epochs=3, verbose=0, callbacks=[plateau]).history
    assert history["learning_rate"] == pytest.approx([1e-3, 1e-3, 5e-4])
    by_epoch = keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1))
    model.fit(data.take(1), epochs=2, verbose=0, callbacks=[by_epoch])
    assert float(model.optimizer.learning_rate) == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"loss": "mse"}, "loss"),
        ({"metrics": ["accuracy"]}, "metrics"),
        ({"loss_weights": [1]}, "loss_weights"),
    ],
)
def test_losses_and_metrics_of_keras_are_refused(arguments, name, small_detector):
    model = small_detector()
    with pytest.raises(ValueError, match=f"compile: {name} is not used; the losses ar"):
        model.compile("sgd", **arguments)
    if name == "loss":
        with pytest.raises(ValueError, match="compile: loss is not used"):
            model.compile("sgd", "mse")


@pytest.mark.parametrize("name", ["class_weight", "sample_weight"])
def test_weights_of_classes_and_samples_are_refused(name, eager_detector, data, batch):
    model = eager_detector()
    with pytest.raises(ValueError, match=f"^{name} is not used by a detector"):
        model.fit(data, **{name: {0: 1.0}})
    if name == "sample_weight":
        with pytest.raises(ValueError, match=r"^sample_weight is not used"):
            model.evaluate(batch, sample_weight=np.ones(2))
        weighted = tf.data.Dataset.from_tensors((batch, None, np.ones(2)))
        for method in (model.fit, model.evaluate):
            with pytest.raises(ValueError, match="sample_weight is not used by a dete"):
                method(weighted, verbose=0)


def gradients_at(model, batch, step):
    batch = {name: tf.constant(values) for name, values in batch.items()}
    turn = model.turn_of(tf.constant(step), tf.shape(batch["images"])[0])
    _, gradients = model._compute_losses_and_gradients(batch, turn)
    return np.concatenate([g.numpy().ravel() for g in gradients])


@pytest.mark.slow
def test_accumulated_gradients_are_the_mean_over_steps_with_their_own_samples(
    eager_detector, batch
):
    model = eager_detector(SGD(0.1, gradient_accumulation_steps=2))
    before = kernels_of(model)
    first, second = (gradients_at(model, batch, step) for step in (0, 1))
    assert not np.allclose(first, second)  # other anchors and RoIs are drawn
    one = tf.data.Dataset.from_tensors(batch)
    model.fit(one, verbose=0)
    np.testing.assert_array_equal(kernels_of(model), before)
    model.fit(one, verbose=0)
    # Each step's gradient has the weight decay in full; their mean has it once.
    expected = before - 0.1 * (first + second) / 2
    np.testing.assert_allclose(kernels_of(model), expected, rtol=1e-4, atol=1e-6)
    assert int(model.optimizer.iterations) == 1


@pytest.mark.slow
def test_an_optimizer_that_decays_weights_replaces_the_models_decay(
    eager_detector, batch
):
    plain, decaying = (
        eager_detector(SGD(0.01, weight_decay=decay), train={"weight_decay": 0.1})
        for decay in (None, 0.1)
    )
    losses = [
        model.evaluate(batch, verbose=0, return_dict=True)
        for model in (plain, decaying)
    ]
    assert losses[0]["decay_loss"] > 1 and losses[1]["decay_loss"] == 0
    difference = losses[0]["loss"] - losses[1]["loss"]
    assert difference == pytest.approx(losses[0]["decay_loss"], rel=1e-4)


@pytest.mark.slow
def test_the_norm_of_the_gradients_may_be_clipped(eager_detector, batch):
    model = eager_detector(SGD(1.0, global_clipnorm=1e-3))
    assert np.linalg.norm(gradients_at(model, batch, 0)) > 0.1
    before = kernels_of(model)
    model.fit(tf.data.Dataset.from_tensors(batch), verbose=0)
    moved = np.linalg.norm(kernels_of(model) - before)
    assert moved == pytest.approx(1e-3, rel=0.01)


@pytest.mark.slow
def test_averaged_weights_are_those_of_the_end(eager_detector, data):
    model = eager_detector(SGD(0.001, use_ema=True, ema_momentum=0.5))
    seen = [kernels_of(model)]
    note = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda *_, **__: seen.append(kernels_of(model))
    )
    model.fit(data, verbose=0, callbacks=[note])
    average = seen[1]
    for weights in seen[2:]:
        average = (average + weights) / 2
    np.testing.assert_allclose(kernels_of(model), average, atol=1e-6)


@pytest.mark.slow
def test_a_scaled_loss_draws_other_samples_at_each_step(eager_detector, data):
    scaling = keras.optimizers.LossScaleOptimizer(SGD(0.001), initial_scale=8.0)
    model = eager_detector(scaling)
    steps, compute = [], model.compute_losses

    def watched(batch, turn, training=False):
        steps.append(int(turn.step))
        return compute(batch, turn, training=training)

    model.compute_losses = watched
    model.fit(data, verbose=0)
    assert steps == [0, 1, 2]


def test_a_loss_that_is_not_finite_stops_with_an_error_whatever_the_callbacks(
    eager_detector, batch
):
    model = eager_detector()
    (*_, bias) = model.trainable_variables
    bias.assign(bias * np.nan)
    before = kernels_of(model)
    broken = tf.data.Dataset.from_tensors(batch)
    with pytest.raises(NonFiniteError, match="Not finite at step 0"):
        model.fit(broken, verbose=0, callbacks=[keras.callbacks.TerminateOnNaN()])
    np.testing.assert_array_equal(kernels_of(model), before)
    assert int(model.optimizer.iterations) == 0


# Callbacks --------------------------------------------------------------------------


@pytest.mark.slow
def test_logs_and_history_have_all_figures(eager_detector, shapes, tmp_path):
    model = eager_detector()
    history = model.fit(
        shapes,
        validation_data=shapes,
        epochs=2,
        verbose=0,
        callbacks=[
            keras.callbacks.CSVLogger(tmp_path / "log.csv"),
            keras.callbacks.TensorBoard(tmp_path / "board"),
            MeanAveragePrecision(shapes),
        ],
    ).history
    names = {p + n for n in model.loss_names for p in ("", "val_")} | {"val_mAP"}
    assert {*history} == names
    with (tmp_path / "log.csv").open() as file:
        rows = [*csv.DictReader(file)]
    assert {*rows[0]} == names | {"epoch"}
    assert [float(row["val_mAP"]) for row in rows] == history["val_mAP"]
    tags = set()
    for path in (tmp_path / "board" / "validation").glob("*tfevents*"):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            tags |= {value.tag for value in event.summary.value}
    assert {"epoch_loss", "epoch_mAP", "epoch_rpn_box_loss"} <= tags


class Kill(keras.callbacks.Callback):
    """Stops the program within an epoch."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch, self._now = epoch, 0

    def on_epoch_begin(self, epoch, logs=None):
        self._now = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self._now == self.epoch:
            raise KeyboardInterrupt


def train_killed(build, data, folder, **settings):
    """Returns a model that was trained, killed in the third epoch, and resumed."""
    backup = keras.callbacks.BackupAndRestore(folder / "backup")
    settings = {"epochs": 4, "verbose": 0} | settings
    with pytest.raises(KeyboardInterrupt):
        build().fit(data, callbacks=[backup, Kill(2)], **settings)
    model = build()
    backup = keras.callbacks.BackupAndRestore(folder / "backup")
    history = model.fit(data, callbacks=[backup], **settings)
    assert history.epoch == [2, 3]
    return model


def contents(batches):
    return [
        (b["image_ids"].numpy().tolist(), b["boxes"].numpy().tolist()) for b in batches
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "settings"),
    [("examples", {}), ("singles", {}), ("examples", {"steps_per_epoch": 3})],
)
def test_a_resumed_training_goes_on_with_the_data_of_its_epoch(
    kind, settings, stub, shapes, singles, tmp_path
):
    data, whole = {"examples": shapes, "singles": singles}[kind], stub()
    settings = {"batch_size": 1} | settings
    whole.fit(data, epochs=4, verbose=0, **settings)
    resumed = train_killed(stub, data, tmp_path, **settings)
    seen = contents(whole.trained)
    assert contents(resumed.trained) == seen[len(seen) // 2 :]
    assert float(resumed.weight) == float(whole.weight)


@pytest.mark.slow
def test_a_resumed_training_equals_an_uninterrupted_one_bit_for_bit(
    small_detector, shapes, tmp_path
):
    def build():
        model = small_detector()
        model.compile(AdamW(0.001, gradient_accumulation_steps=3))
        return model

    whole = build()
    whole.fit(shapes, epochs=4, batch_size=1, verbose=0)
    resumed = train_killed(build, shapes, tmp_path, batch_size=1)
    np.testing.assert_array_equal(kernels_of(resumed), kernels_of(whole))
    for own, expected in zip(
        resumed.optimizer.variables, whole.optimizer.variables, strict=True
    ):
        np.testing.assert_array_equal(own.numpy(), expected.numpy())


# The model --------------------------------------------------------------------------


def test_the_summary_shows_the_parts_with_their_weights(small_detector):
    lines = []
    model = small_detector()
    model.summary(print_fn=lambda text, **_: lines.append(text))
    text = "\n".join(lines)
    assert all(layer.name in text for layer in model.layers)
    assert f"Total params: {model.count_params():,}" in text
    assert "unbuilt" not in text


def test_parts_are_found_by_their_names(small_detector):
    model = small_detector()
    assert model.get_layer("rpn") is model.rpn
    assert model.get_layer("roi_head") is model.roi_head
    assert model.get_layer("short") is model.backbone


@pytest.mark.slow
@pytest.mark.parametrize("what", ["backbone", "layer", "everything"])
def test_frozen_weights_stay_and_the_others_move(what, small_detector, data):
    model = small_detector()
    frozen = {
        "backbone": model.backbone,
        "layer": next(layer for layer in model.backbone.layers if layer.weights),
        "everything": model,
    }[what]
    frozen.trainable = False
    model.compile(SGD(0.01), run_eagerly=True)
    still = {id(weight) for weight in frozen.weights}
    assert 0 < len(still) and len(model.trainable_weights) == len(model.weights) - len(
        still
    )
    before = [weight.numpy() for weight in model.weights]
    model.fit(data, verbose=0)
    for old, new in zip(before, model.weights, strict=True):
        assert np.array_equal(old, new.numpy()) == (id(new) in still), new.path


@pytest.mark.slow
def test_a_backbone_that_was_frozen_can_be_trained_again(small_detector, data):
    model = small_detector()
    model.backbone.trainable = False
    model.compile(SGD(0.01), run_eagerly=True)
    model.fit(data, verbose=0)
    model.backbone.trainable = True
    model.compile(SGD(0.01), run_eagerly=True)
    before = [weight.numpy() for weight in model.backbone.weights]
    model.fit(data, verbose=0)
    for old, new in zip(before, model.backbone.weights, strict=True):
        assert not np.array_equal(old, new.numpy()), new.path


def test_a_clone_has_weights_of_its_own(eager_detector, batch):
    model = eager_detector()
    clone = keras.models.clone_model(model)
    assert clone.class_names == model.class_names and clone.settings == model.settings
    assert not {id(w) for w in clone.weights} & {id(w) for w in model.weights}
    clone.set_weights(model.get_weights())
    clone.run_eagerly = True
    found, expected = (m.predict_on_batch(batch["images"]) for m in (clone, model))
    np.testing.assert_allclose(found["boxes"], expected["boxes"], atol=1e-4)


def test_a_model_can_be_drawn(small_detector):
    model = small_detector()
    text = keras.utils.model_to_dot(model).to_string()
    assert model.name in text
    layers = keras.utils.model_to_dot(model.backbone).to_string()
    assert all(layer.name in layers for layer in model.backbone.layers)


@pytest.fixture
def policy():
    """Sets the policy of new layers, until the test ends."""
    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mixed_bfloat16", "mixed_float16"])
def test_a_policy_of_keras_does_not_break_a_detector(name, policy, tiny_detector, data):
    policy(name)
    model = tiny_detector()
    assert model.rpn.head.dtype_policy.name == name
    model.compile(SGD(0.001), run_eagerly=True)
    before = kernels_of(model)
    history = model.fit(data, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert not np.array_equal(kernels_of(model), before)
    assert {weight.dtype for weight in model.weights} == {"float32"}
    found = model.predict(data.take(1), verbose=0)
    assert found["boxes"].dtype == found["scores"].dtype == np.float32


@pytest.mark.slow
def test_a_recipe_has_its_own_precision_whatever_the_policy(
    policy, eager_detector, data
):
    policy("mixed_float16")
    model = eager_detector(train={"precision": "bfloat16"})
    assert model.rpn.head.dtype_policy.name == "mixed_bfloat16"
    assert np.isfinite(model.fit(data.take(1), verbose=0).history["loss"]).all()
    assert eager_detector().rpn.head.dtype_policy.name == "float32"
    with pytest.raises(ConfigError, match=r"train\.precision = 'int8'"):
        eager_detector(train={"precision": "int8"})


@pytest.mark.parametrize(
    ("jit_compile", "kinds", "uses_xla"),
    [
        (False, ("CPU", "GPU"), False),
        (True, ("CPU",), True),
        ("auto", ("CPU",), False),
        ("auto", ("CPU", "GPU"), True),
    ],
)
def test_xla_is_taken_as_keras_takes_it(
    jit_compile, kinds, uses_xla, small_detector, monkeypatch
):
    def devices(kind=None):
        return [SimpleNamespace(device_type=own) for own in kinds]

    monkeypatch.setattr(tf.config, "list_physical_devices", devices)
    model, stock = small_detector(), keras.Sequential([keras.layers.Dense(1)])
    assert not model.jit_compile  # also of a model that was not compiled
    model.compile("sgd", jit_compile=jit_compile)
    stock.compile("sgd", jit_compile=jit_compile)
    assert not model.jit_compile and model.uses_xla == stock.jit_compile == uses_xla
    model.compile("sgd", jit_compile="auto", run_eagerly=True)
    assert not model.uses_xla
    next(iter(model.backbone.layers)).supports_jit = False
    model.compile("sgd", jit_compile="auto")
    assert not model.uses_xla
    with pytest.raises(ValueError, match=r"jit_compile = 'atuo' must be True, False o"):
        model.compile("sgd", jit_compile="atuo")


@pytest.mark.slow
def test_several_steps_per_execution_are_the_same_steps(small_detector, batch):
    data, results = tf.data.Dataset.from_tensors(batch).repeat(3), []
    for steps in (1, 2):
        model = small_detector()
        model.compile(SGD(0.001), steps_per_execution=steps)
        history = model.fit(data, epochs=2, verbose=0).history
        assert int(model.optimizer.iterations) == 6
        found = model.predict(data, verbose=0)
        results.append((kernels_of(model), history["loss"], found["boxes"]))
    for one, two in zip(*results, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.slow
def test_eager_steps_are_those_of_the_graph(small_detector, batch):
    data, results = tf.data.Dataset.from_tensors(batch).repeat(3), []
    for run_eagerly in (False, True):
        model = small_detector()
        model.compile(SGD(0.001), run_eagerly=run_eagerly)
        history = model.fit(data, epochs=1, verbose=0).history
        results.append(history["loss"] + history["rpn_box_loss"])
    np.testing.assert_allclose(*results, rtol=1e-4)


@pytest.mark.xla
def test_xla_trains_and_tells_of_faulty_data_as_well(small_detector, batch, capsys):
    model = small_detector()
    model.compile(SGD(0.001), jit_compile=True)
    before = kernels_of(model)

    def fit(**changes):
        data = tf.data.Dataset.from_tensors(batch | changes)
        return model.fit(data, verbose=2).history

    assert np.isfinite(fit()["loss"]).all()
    first, *others = capsys.readouterr().out.splitlines()
    assert first.startswith("Compiled the training step for 2 x 64x96 in ")
    assert "Compiled" not in "".join(others)
    assert not np.array_equal(kernels_of(model), before)
    with pytest.raises(ValueError, match=r"a label is not in 0\.\.3"):
        fit(labels=np.where(batch["labels"] == 0, 4, -1))
    with pytest.raises(ValueError, match="a box is NaN or infinite"):
        fit(boxes=batch["boxes"] * np.nan)
    with pytest.warns(UserWarning, match="are all images negative"):
        losses = fit(boxes=batch["boxes"][:, :0], labels=batch["labels"][:, :0])
    assert losses["rpn_class_loss"][0] > 0
    (found,) = model.detect(batch["images"][0].astype(np.uint8))
    assert len(found.names) > 0


# Files ------------------------------------------------------------------------------

IN_A_FRESH_PROCESS = """
import json, sys
import keras
import tf_frcnn
import numpy as np
import tensorflow as tf
model = keras.saving.load_model(sys.argv[1])
batch = dict(np.load(sys.argv[2]))
found = model.detect([batch["images"][0].astype(np.uint8)])[0]
data = tf.data.Dataset.from_tensors(batch)
losses = model.fit(data, epochs=1, verbose=0).history["loss"]
print(json.dumps({
    "names": found.names, "boxes": found.boxes.tolist(), "losses": losses,
    "steps": int(model.optimizer.iterations), "class": type(model).__name__,
}))
"""


@pytest.mark.slow
def test_a_saved_model_detects_and_trains_on_in_a_fresh_process(
    eager_detector, batch, tmp_path
):
    model = eager_detector(SGD(0.001, momentum=0.9))
    data = tf.data.Dataset.from_tensors(batch)
    model.fit(data, verbose=0)
    model.save(tmp_path / "model.keras")
    np.savez(tmp_path / "batch.npz", **batch)
    command = [sys.executable, "-c", IN_A_FRESH_PROCESS, "model.keras", "batch.npz"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    (expected,) = model.detect([batch["images"][0].astype(np.uint8)])
    assert found["class"] == FasterRCNN.__name__ and found["steps"] == 2
    assert tuple(found["names"]) == expected.names
    np.testing.assert_allclose(found["boxes"], expected.boxes, atol=1e-3)
    losses = model.fit(data, verbose=0).history["loss"]
    np.testing.assert_allclose(found["losses"], losses, rtol=1e-4)


@pytest.mark.slow
def test_a_frozen_model_is_loaded_frozen(small_detector, data, tmp_path):
    model = small_detector()
    model.backbone.trainable = False
    model.compile(SGD(0.001, momentum=0.9), run_eagerly=True)
    model.fit(data.take(1), verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert len(loaded.trainable_weights) == len(model.trainable_weights)
    for own, expected in zip(
        loaded.optimizer.variables, model.optimizer.variables, strict=True
    ):
        np.testing.assert_array_equal(own.numpy(), expected.numpy())
