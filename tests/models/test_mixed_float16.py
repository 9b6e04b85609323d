"""Trainings in float16, whose gradients overflow at first."""

import keras
import numpy as np
import pytest

# The gradients of the first steps overflow with it.
HUGE = 2.0**24
SETTINGS = {"epochs": 2, "batch_size": 1, "verbose": 0}


@pytest.fixture
def half(eager_detector):
    """Builds compiled detectors that compute in float16."""

    def build(optimizer="sgd"):
        train = {"precision": "mixed_float16", "optimizer": optimizer, "clip_norm": 1.0}
        model = eager_detector(train=train)
        model.optimizer.dynamic_scale.assign(HUGE)
        return model

    return build


def state_of(model):
    return [*model.get_weights(), *map(np.array, model.optimizer.variables)]


def assert_same_state(model, expected):
    for own, other in zip(state_of(model), expected, strict=True):
        np.testing.assert_array_equal(own, other)


@pytest.mark.slow
def test_a_training_goes_on_after_overflows_and_is_the_same_if_interrupted(
    half, shapes, tmp_path
):
    model, file, scales = half("adamw"), tmp_path / "half.weights.h5", []
    before = model.get_weights()

    def keep(batch, logs):
        scales.append(float(model.optimizer.dynamic_scale))
        if len(scales) == 3:
            model.save_weights(file)
        assert np.isfinite(logs["loss"])

    keeping = keras.callbacks.LambdaCallback(on_train_batch_end=keep)
    model.fit(shapes, callbacks=[keeping], **SETTINGS)
    assert scales[0] == HUGE / 2  # The first one overflowed, and later ones did not:
    assert len({*scales}) < len(scales) == int(model.optimizer.iterations) == 8
    moved = [np.any(a != b) for a, b in zip(before, model.get_weights(), strict=True)]
    assert any(moved)
    resumed = half("adamw")
    resumed.load_weights(file)
    resumed.fit(shapes, initial_batch=3, **SETTINGS)
    assert_same_state(resumed, state_of(model))


@pytest.mark.slow
def test_a_keras_file_keeps_the_scale_and_the_type(half, shapes, batch, tmp_path):
    model = half()
    model.fit(shapes, **SETTINGS | {"epochs": 1})
    model.save(tmp_path / "half.keras")
    loaded = keras.saving.load_model(tmp_path / "half.keras")
    assert loaded.dtype_policy.name == "mixed_float16"
    assert loaded.backbone.layers[-1].compute_dtype == "float16"
    assert_same_state(loaded, state_of(model))
    found, expected = loaded.predict_on_batch(batch), model.predict_on_batch(batch)
    assert found["boxes"].dtype == np.float32
    np.testing.assert_allclose(found["boxes"], expected["boxes"], atol=0.5)
    loaded.compile("sgd", run_eagerly=True)
    assert isinstance(loaded.optimizer, keras.optimizers.LossScaleOptimizer)
