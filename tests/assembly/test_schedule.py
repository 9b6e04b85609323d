import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.assembly.schedule import (
    WarmUpCosine,
    WarmUpPlateau,
    WarmUpStepDecay,
)

SCHEDULE = WarmUpStepDecay(
    0.01, decay_steps=(30, 40), decay_factor=0.5, warmup_steps=10, warmup_factor=0.2
)
# The rise from 0.002 to 0.01 in 10 steps is 0.0008 a step.
BY_HAND = {
    0: 0.002,
    1: 0.0028,
    5: 0.006,
    9: 0.0092,
    10: 0.01,
    29: 0.01,
    30: 0.005,
    39: 0.005,
    40: 0.0025,
    100_000: 0.0025,
}


@pytest.mark.parametrize("compiled", [False, True])
def test_the_rate_rises_and_falls_at_its_steps(compiled):
    rate_at = tf.function(SCHEDULE) if compiled else SCHEDULE
    for step, expected in BY_HAND.items():
        rate = rate_at(tf.constant(step, tf.int64))
        assert rate.dtype == tf.float32
        np.testing.assert_allclose(rate, expected, rtol=1e-6, err_msg=str(step))


@pytest.mark.parametrize("step", [0, 7, 10**6])
def test_a_rate_without_warm_up_and_decay_is_constant(step):
    rate = WarmUpStepDecay(0.003)(step)
    assert rate.dtype == tf.float32
    np.testing.assert_allclose(rate, 0.003, rtol=1e-6)


def test_a_decay_during_the_warm_up_lowers_the_rise():
    schedule = WarmUpStepDecay(
        1.0, decay_steps=(5,), decay_factor=0.5, warmup_steps=10, warmup_factor=0.0
    )
    np.testing.assert_allclose([schedule(4), schedule(6)], [0.4, 0.3], rtol=1e-6)


def test_the_rate_of_the_paper_falls_tenfold_after_60000_steps():
    schedule = WarmUpStepDecay(0.001, decay_steps=(60_000,))
    rates = [schedule(step) for step in (59_999, 60_000)]
    np.testing.assert_allclose(rates, [0.001, 0.0001], rtol=1e-6)


def test_a_schedule_from_its_config_is_the_same():
    config = keras.saving.serialize_keras_object(SCHEDULE)
    copy = keras.saving.deserialize_keras_object(config)
    assert copy.get_config() == SCHEDULE.get_config()
    rates = [copy(step) for step in BY_HAND]
    np.testing.assert_allclose(rates, list(BY_HAND.values()), rtol=1e-6)


def test_an_optimizer_follows_the_schedule():
    optimizer = keras.optimizers.SGD(SCHEDULE)
    variable = keras.Variable(1.0)
    optimizer.build([variable])
    values = []
    for _ in range(2):
        optimizer.apply([tf.constant(1.0)], [variable])
        values.append(float(variable.value))
    np.testing.assert_allclose(values, [1 - 0.002, 1 - 0.0048], rtol=1e-6)


COSINE = WarmUpCosine(
    0.01, last_step=50, final_factor=0.1, warmup_steps=10, warmup_factor=0.2
)
# After the rise from 0.002, 0.001 + 0.009 (1 + cos(pi (step - 10) / 40)) / 2.
OF_COSINE = {
    0: 0.002,
    5: 0.006,
    10: 0.01,
    20: 0.001 + 0.009 * (1 + 0.5**0.5) / 2,
    30: 0.0055,
    40: 0.001 + 0.009 * (1 - 0.5**0.5) / 2,
    50: 0.001,
    100_000: 0.001,
}


@pytest.mark.parametrize("compiled", [False, True])
def test_the_rate_falls_along_a_cosine_and_stays(compiled):
    rate_at = tf.function(COSINE) if compiled else COSINE
    for step, expected in OF_COSINE.items():
        rate = rate_at(tf.constant(step, tf.int64))
        assert rate.dtype == tf.float32
        np.testing.assert_allclose(rate, expected, rtol=1e-5, err_msg=str(step))


def test_a_cosine_without_warm_up_begins_at_the_rate():
    rates = [WarmUpCosine(0.2, last_step=4)(step) for step in (0, 2, 4)]
    np.testing.assert_allclose(rates, [0.2, 0.1, 0.0], atol=1e-7)


def test_a_cosine_from_its_config_is_the_same():
    config = keras.saving.serialize_keras_object(COSINE)
    copy = keras.saving.deserialize_keras_object(config)
    rates = [copy(step) for step in OF_COSINE]
    np.testing.assert_allclose(rates, list(OF_COSINE.values()), rtol=1e-5)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_plateau_falls_when_it_is_told_and_as_often(compiled):
    schedule = WarmUpPlateau(0.01, decay_factor=0.5, warmup_steps=10, warmup_factor=0.2)
    rate_at = tf.function(schedule) if compiled else schedule
    for decays, step, expected in ((0, 0, 0.002), (0, 10, 0.01), (3, 50, 0.00125)):
        schedule.num_decays.assign(decays)
        rate = rate_at(tf.constant(step, tf.int64))
        assert rate.dtype == tf.float32
        np.testing.assert_allclose(rate, expected, rtol=1e-6)
    config = keras.saving.serialize_keras_object(schedule)
    copy = keras.saving.deserialize_keras_object(config)
    np.testing.assert_allclose(copy(5), 0.006, rtol=1e-6)
