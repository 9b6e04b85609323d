import keras
import numpy as np
import pytest

from tf_frcnn import callbacks
from tf_frcnn.callbacks import MeanAveragePrecision
from tf_frcnn.models.evaluating import evaluate, observe


class Measured(MeanAveragePrecision):
    """Keeps the detections that were measured."""

    def __init__(self, data, **settings):
        super().__init__(data, on_evaluation=self._note, **settings)
        self.found = []

    def _note(self, epoch, truth, found, result):
        self.found.append(found)


@pytest.fixture
def observed(monkeypatch):
    """The models that `MeanAveragePrecision` had detect once more."""
    models = []

    def noted(model, data):
        models.append(model)
        return observe(model, data)

    monkeypatch.setattr(callbacks, "observe", noted)
    return models


@pytest.mark.slow
def test_a_validation_sees_its_images_once(
    small_detector, shapes, observed, monkeypatch
):
    model, passes = small_detector(), []
    model.compile()
    features = model.features
    monkeypatch.setattr(model, "features", lambda b: passes.append(b) or features(b))
    measured = Measured(shapes)
    history = model.fit(
        shapes, validation_data=shapes, epochs=2, verbose=0, callbacks=[measured]
    ).history
    assert observed == []
    # Of the training and of the validation, each traced once for all batches.
    assert len(passes) == 2
    monkeypatch.undo()
    assert history["val_mAP"][1] == pytest.approx(evaluate(model, shapes).mean)
    expected = model.evaluate(shapes, verbose=0, return_dict=True)
    for name, value in expected.items():
        assert history[f"val_{name}"][1] == pytest.approx(value, rel=1e-5)
    _, found = observe(model, shapes)
    assert len(found.scores) > 10
    for own, other in zip(measured.found[1], found, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-4, atol=1e-3)


@pytest.mark.slow
def test_what_no_validation_has_seen_is_detected_by_the_callback(
    small_detector, shapes, observed
):
    model = small_detector()
    model.compile(run_eagerly=True)

    class Evaluating(keras.callbacks.Callback):
        adds_to_logs = True

        def on_epoch_end(self, epoch, logs=None):
            self.model.evaluate(shapes, verbose=0)  # of which the mAP is not

    model.fit(
        shapes,
        validation_data=shapes,
        validation_freq=2,
        epochs=3,
        verbose=0,
        callbacks=[Evaluating(), MeanAveragePrecision(shapes)],
    )
    assert len(observed) == 2  # after epochs 1 and 3


@pytest.mark.slow
@pytest.mark.parametrize(
    "reason", ["other data", "a part", "other weights", "measured less often"]
)
def test_the_callback_detects_where_the_validation_is_another(
    reason, small_detector, shapes, observed
):
    model = small_detector()
    data = shapes.subset([0, 1]) if reason == "other data" else shapes
    often = 2 if reason == "measured less often" else 1
    own = [MeanAveragePrecision(data, every=often)]
    optimizer = keras.optimizers.SGD(0.001)
    if reason == "other weights":
        optimizer = keras.optimizers.SGD(0.001, use_ema=True)
        own.append(keras.callbacks.SwapEMAWeights())
    model.compile(optimizer, run_eagerly=True)
    model.fit(
        shapes,
        validation_data=shapes,
        validation_steps=1 if reason == "a part" else None,
        epochs=often,
        verbose=0,
        callbacks=own,
    )
    assert observed == [model]
    assert model.kept_detections is None and own[0].kept_detections is None
