"""The warning of a training that waits for its data, without a training."""

import time
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.models import waiting
from tf_frcnn.models.waiting import WaitingAdvice, measures_waiting


def train(advice, monkeypatch, *, waited, step=1.0, steps=21):
    """Calls the callback as in an epoch whose steps wait so many seconds each."""
    now, total = [100.0], [0.0]
    monkeypatch.setattr(waiting.time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(advice, "_seconds", lambda: total[0])
    advice.on_epoch_begin(0)
    for batch in range(steps):
        # The first step traces the graph, and waits for the first data.
        now[0] += step if batch else 500.0
        total[0] += waited if batch else 400.0
        advice.on_train_batch_end(batch)
    now[0] += 1000.0  # Of a validation.
    advice.on_epoch_end(2)


def test_an_epoch_that_waits_is_told_with_the_share_and_what_to_set(monkeypatch):
    with pytest.warns(UserWarning) as warned:
        train(WaitingAdvice(can_keep=True), monkeypatch, waited=0.25)
    (message,) = [str(w.message) for w in warned]
    assert message.startswith("Epoch 3: training waited for its data in 25% of the ti")
    assert "Set data.cache to memory or disk" in message
    with pytest.warns(UserWarning, match=r"by the dataset's cache\(\)"):
        train(WaitingAdvice(can_keep=False), monkeypatch, waited=0.9)


@pytest.mark.parametrize(
    "epoch", [{"waited": 0.19}, {"waited": 0.2, "step": 0.4}, {"waited": 9, "steps": 0}]
)
def test_short_waits_short_epochs_and_empty_ones_are_not_told(epoch, monkeypatch):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(WaitingAdvice(can_keep=True), monkeypatch, **epoch)


def test_what_is_waited_for_is_measured_and_nothing_else():
    def slow(number):
        time.sleep(0.02)
        return number

    def made(number):
        return {"n": tf.ensure_shape(tf.numpy_function(slow, [number], tf.int64), [])}

    advice = WaitingAdvice(can_keep=True)
    dataset = tf.data.Dataset.range(5).map(made)
    timed = advice.timed(dataset)
    assert timed.element_spec == dataset.element_spec and int(timed.cardinality()) == 5
    start = time.perf_counter()
    np.testing.assert_array_equal([e["n"].numpy() for e in timed], range(5))
    # None of five naps can be shorter, and the whole not longer than the loop.
    assert 5 * 0.02 <= advice._seconds() <= time.perf_counter() - start
    before = advice._seconds()
    for _ in advice.timed(tf.data.Dataset.range(3)):
        time.sleep(0.2)
    assert advice._seconds() - before < 0.6


def test_nothing_is_measured_where_tensorflow_has_no_clock(deterministic):
    assert not measures_waiting(keras.Sequential(), tf.data.Dataset.range(3))


def test_something_is_measured_of_datasets_alone():
    assert measures_waiting(keras.Sequential(), tf.data.Dataset.range(3))
    assert not measures_waiting(keras.Sequential(), np.zeros(3))
