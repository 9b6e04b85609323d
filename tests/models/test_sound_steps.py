import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.models import NonFiniteError, sound_steps
from tf_frcnn.models.sound_steps import MOST_IN_A_ROW, BadStep

IDS = ["a", "b"]
WAYS = ["eager", "graph", pytest.param("xla", marks=pytest.mark.xla)]


@pytest.fixture
def data(batch):
    """Five equal batches with names."""
    named = batch | {"image_ids": np.array(IDS)}
    return tf.data.Dataset.from_tensors(named).repeat(5)


def spoiled(model, steps, *, spoil_loss=False, nth=-1):
    """Makes a loss, or one variable's gradient alone, NaN at the given steps."""
    compute = model._gradient_step

    def gradient_step(batch, turn):
        losses, gradients = compute(batch, turn)
        gradients = list(gradients)
        step = tf.cast(turn.step, tf.int64)
        is_bad = tf.reduce_any(step == tf.constant(steps, tf.int64))
        factor = tf.where(is_bad, np.nan, 1.0)
        if spoil_loss:
            losses["roi_class_loss"] *= factor
        else:
            gradients[nth] *= factor
        return losses, gradients

    model._gradient_step = gradient_step
    return model


def compiled(small_detector, mode="stop", *, by="eager", **settings):
    model = small_detector(**settings)
    optimizer = keras.optimizers.SGD(0.001, momentum=0.9)
    how = {"run_eagerly": by == "eager", "jit_compile": by == "xla"}
    model.compile(optimizer, on_non_finite=mode, **how)
    return model


def variables_of(model):
    return [*model.weights, *model.optimizer.variables]


def weights_of(model):
    return [np.array(variable) for variable in variables_of(model)]


@pytest.mark.slow
@pytest.mark.parametrize("by", WAYS)
def test_a_gradient_that_is_not_finite_stops_before_anything_moves(
    small_detector, data, by
):
    model = spoiled(compiled(small_detector, by=by), [0])
    before = weights_of(model)
    with pytest.raises(NonFiniteError) as error:
        model.fit(data, verbose=0)
    message = str(error.value)
    name = model.trainable_variables[-1].path
    expected = f"Not finite at step 0 (images a, b): the gradient of {name}, while the "
    assert message.startswith(f"{expected}losses are finite (loss ")
    assert "\n" not in message and "The weights are those before this step." in message
    for old, new in zip(before, weights_of(model), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.slow
def test_with_several_devices_the_weights_have_moved(small_detector, data, monkeypatch):
    monkeypatch.setattr(sound_steps, "num_replicas", lambda: 2)
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        model = spoiled(compiled(small_detector, by="graph"), [1])
    with pytest.raises(NonFiniteError) as error:
        model.fit(data, verbose=0)
    message = str(error.value)
    assert message.startswith("Not finite at step 1 (images those of one device are a,")
    assert "The weights have moved: take those of the last checkpoint." in message
    assert not np.isfinite(model.trainable_variables[-1]).all()


def test_of_several_gradients_the_one_nearest_to_the_losses_is_named(
    small_detector, data
):
    model = compiled(small_detector)
    for nth in (0, 4, 7):
        spoiled(model, [0], nth=nth)
    with pytest.raises(NonFiniteError) as error:
        model.fit(data, verbose=0)
    name = model.trainable_variables[7].path
    assert f"the gradient of {name} and 2 more, while" in str(error.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("by", "spoil_loss"),
    [
        ("graph", True),
        ("eager", False),
        pytest.param("xla", False, marks=pytest.mark.xla),
    ],
)
def test_a_step_that_is_passed_over_moves_nothing_but_the_count(
    small_detector, data, by, spoil_loss
):
    model = compiled(small_detector, "skip", by=by)
    first = weights_of(model)
    spoiled(model, [1, 3], spoil_loss=spoil_loss)
    with pytest.warns(UserWarning, match="The step is passed over") as caught:
        logs = model.fit(data, verbose=0).history
    told = [str(w.message) for w in caught if "passed over" in str(w.message)]
    assert [text.split(" (")[0] for text in told] == [
        "Not finite at step 1",
        "Not finite at step 3",
    ]
    assert int(model.optimizer.iterations) == 5
    np.testing.assert_allclose(logs["skipped"], [0.4])
    last = weights_of(model)
    # It is the training of steps 0, 2 and 4 alone.
    for variable, value in zip(variables_of(model), first, strict=True):
        variable.assign(value)
    losses = []
    for step, one in enumerate(data):
        if step in (1, 3):
            model.optimizer.iterations.assign_add(1)
        else:
            losses.append(model.train_on_batch(one, return_dict=True)["loss"])
            model.reset_metrics()
    np.testing.assert_allclose(logs["loss"], [np.mean(losses)], rtol=1e-6)
    for own, expected in zip(last, weights_of(model), strict=True):
        np.testing.assert_array_equal(own, expected)


@pytest.mark.slow
def test_too_many_in_a_row_stop_the_training(small_detector, data):
    model = spoiled(compiled(small_detector, "skip"), [1, *range(3, 30)])
    with pytest.warns(UserWarning, match="passed over"):
        with pytest.raises(NonFiniteError, match="the 10th step in a row") as error:
            model.fit(data.repeat(), steps_per_epoch=30, verbose=0)
    assert f"Not finite at step {2 + MOST_IN_A_ROW} " in str(error.value)


@pytest.mark.slow
def test_the_step_is_given_to_whoever_listens(small_detector, data, batch):
    model = spoiled(compiled(small_detector), [2], spoil_loss=True)
    heard = []
    model.sound_steps.on_bad_step = heard.append
    with pytest.raises(NonFiniteError):
        model.fit(data, verbose=0)
    (bad,) = heard
    assert bad.step == 2
    np.testing.assert_array_equal(bad.batch["image_ids"], IDS)
    assert bad.batch["image_ids"].dtype.kind == "U"
    for name, values in batch.items():
        np.testing.assert_array_equal(bad.batch[name], values)
    assert np.isnan(bad.losses["roi_class_loss"])
    assert list(bad.losses) == list(model.loss_names)
    _, gradients = model._compute_losses_and_gradients(batch, tf.constant(2))
    norms = [float(tf.norm(gradient)) for gradient in gradients]
    np.testing.assert_allclose([*bad.gradient_norms.values()], norms, rtol=1e-4)
    paths = [variable.path for variable in model.trainable_variables]
    assert list(bad.gradient_norms) == paths


def scaling(small_detector, mode="stop", *, initial_scale):
    """Builds a detector whose optimizer scales the loss."""
    model, inner = small_detector(), keras.optimizers.SGD(0.001, momentum=0.9)
    optimizer = keras.optimizers.LossScaleOptimizer(inner, initial_scale)
    model.compile(optimizer, on_non_finite=mode, run_eagerly=True)
    return model


@pytest.mark.slow
def test_gradients_that_overflow_halve_the_scale_and_move_nothing_but_the_count(
    small_detector, data
):
    model = scaling(small_detector, "skip", initial_scale=64.0)
    before = model.get_weights()
    logs = spoiled(model, range(5)).fit(data, verbose=0).history
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert float(model.optimizer.dynamic_scale) == 64.0 / 2**5
    assert int(model.optimizer.iterations) == 5
    assert logs["skipped"] == [0.0]


@pytest.mark.slow
@pytest.mark.parametrize("spoil_loss", [True, False], ids=["loss", "gradient"])
def test_what_is_not_finite_with_a_scale_of_one_or_in_the_loss_is_a_fault(
    small_detector, data, spoil_loss
):
    model = scaling(small_detector, initial_scale=2.0)
    spoiled(model, range(1, 5), spoil_loss=spoil_loss)
    with pytest.raises(NonFiniteError, match=f"at step {2 - spoil_loss} "):
        model.fit(data, verbose=0)


@pytest.mark.slow
def test_the_norms_of_a_bad_step_are_those_without_the_scale(small_detector, data):
    heard = []
    for scale in (1.0, 1024.0):
        model = scaling(small_detector, initial_scale=scale)
        model.sound_steps.on_bad_step = heard.append
        with pytest.raises(NonFiniteError):
            spoiled(model, [0], spoil_loss=True).fit(data, verbose=0)
    plain, scaled = ([*bad.gradient_norms.values()] for bad in heard)
    np.testing.assert_allclose(scaled, plain, rtol=1e-5)


def test_what_becomes_of_a_bad_step_is_a_setting_that_is_saved(small_detector):
    model = small_detector(train={"on_non_finite": "skip"})
    model.compile()
    assert model.sound_steps.skips
    assert model.get_compile_config()["on_non_finite"] == "skip"
    model.compile(on_non_finite="stop")
    assert not model.sound_steps.skips
    with pytest.raises(ValueError, match="on_non_finite = 'skp' must be one of"):
        model.compile(on_non_finite="skp")


def test_a_bad_step_without_names_says_so():
    bad = BadStep(3, {"images": np.zeros(2)}, {"loss": np.inf}, {})
    assert str(bad) == "Not finite at step 3 (images unknown): loss inf"


@pytest.mark.slow
def test_a_model_is_held_no_longer_than_it_is_used(small_detector, data):
    """TensorFlow keeps functions of Python to the end of the process."""
    model = compiled(small_detector, by="graph")
    model.fit(data, verbose=0)
    held = [weakref.ref(item) for item in (model, *model.trainable_variables)]
    del model
    gc.collect()
    assert [reference() for reference in held] == [None] * len(held)
