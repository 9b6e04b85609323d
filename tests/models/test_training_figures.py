import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.models import training_figures
from tf_frcnn.models.trackers import FigureMeans, Trackers
from tf_frcnn.models.training_figures import TIMES, TrainingFigures


def step(images, norm, classes, covered=1.0):
    return {
        "images": tf.constant(images),
        "gradient_norm": tf.constant(norm),
        "class_rois": tf.constant(classes),
        "objects": tf.constant(2.0),
        "covered_objects": tf.constant(covered),
    }


@pytest.fixture
def means():
    return FigureMeans(["cat", "dog"])


def test_steps_without_a_figure_and_steps_that_failed_do_not_count(means):
    sound, failed = tf.constant(True), tf.constant(False)
    means.update_state(step(4.0, 1.0, [1.0, 3.0]), sound)
    means.update_state(step(4.0, np.inf, [2.0, 5.0]), sound)
    means.update_state(step(4.0, 9.0, [9.0, 9.0]), failed)
    found = {name: (own.total, own.weight) for name, own in means.sums().items()}
    assert found == {
        "images": (8.0, 2.0),
        "gradient_norm": (1.0, 1.0),
        "class_rois/cat": (3.0, 2.0),
        "class_rois/dog": (8.0, 2.0),
        "objects": (4.0, 2.0),
        "covered_objects": (2.0, 2.0),
    }


def test_sums_are_set_as_they_were(means):
    means.update_state(step(4.0, 1 / 3, [0.1, 0.7]), tf.constant(True))
    before = means.sums()
    means.set_sums({})
    assert means.sums() == {}
    means.set_sums(before)
    assert means.sums() == before
    assert before["gradient_norm"].mean == float(np.float32(1 / 3))


class Line(keras.Sequential):
    """A model of one weight with the trackers of a detector of two classes."""

    def __init__(self):
        super().__init__([keras.Input((1,)), keras.layers.Dense(1)])
        self.trackers = Trackers(["loss"], ["cat", "dog"])


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(training_figures.time, "perf_counter", lambda: now[0])
    return now


def train(callback, clock, steps, first=50.0):
    """Calls the callback as `fit` does; the first step makes the graph."""
    callback.on_epoch_begin(0)
    for number, own in enumerate(steps):
        callback.model.trackers.figures.update_state(own, tf.constant(True))
        clock[0] += first if not number else 0.5
        callback.on_train_batch_end(number)
    clock[0] += 1000.0  # of a validation
    callback.on_epoch_end(0, logs := {})
    return logs


def test_the_logs_get_the_means_of_the_steps_and_the_pace_without_the_first(clock):
    callback = TrainingFigures()
    callback.set_model(Line())
    steps = [step(4.0, 1.0, [1.0, 3.0]), step(4.0, 2.0, [2.0, 3.0], covered=2.0)]
    expected = {
        "gradient_norm": 1.5,
        "foreground_rois": 4.5,
        "foreground_rois/cat": 1.5,
        "foreground_rois/dog": 3.0,
        "proposal_recall": 0.75,
        "images_per_second": 8.0,
    }
    assert train(callback, clock, steps) == expected
    assert train(callback, clock, steps) == expected  # Each epoch begins anew.
    logs = train(callback, clock, steps[:1])
    assert logs["gradient_norm"] == 1.0 and "images_per_second" not in logs


@pytest.mark.slow
def test_a_training_has_the_figures_in_its_history(eager_detector, shapes):
    model = eager_detector(keras.optimizers.SGD(0.001))
    history = model.fit(
        shapes, batch_size=2, verbose=0, callbacks=[TrainingFigures()]
    ).history
    names = {"gradient_norm", "positive_anchors", "foreground_rois", "proposal_recall"}
    names |= {f"foreground_rois/{name}" for name in shapes.class_names}
    assert history.keys() == {*model.loss_names, *names, *TIMES}
    assert 0 < history["gradient_norm"][0] and 0 <= history["data_wait"][0] <= 1
    without = eager_detector(keras.optimizers.SGD(0.001))
    losses = without.fit(shapes, batch_size=2, verbose=0).history
    assert losses == {name: history[name] for name in model.loss_names}
