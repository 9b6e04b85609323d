"""The learning rate and its schedule."""

from types import SimpleNamespace

import numpy as np
import pytest

from tf_frcnn.assembly import compile_model


def rates_of(config, steps_per_epoch, *steps):
    """Returns the rates of the optimizer that a model is compiled with, at steps."""
    kept = SimpleNamespace()
    model = SimpleNamespace(
        compile=lambda optimizer, **_: vars(kept).update(o=optimizer)
    )
    compile_model(config, model, steps_per_epoch)
    rate = kept.o._learning_rate
    return [float(rate(step)) if callable(rate) else float(rate) for step in steps]


@pytest.mark.parametrize("schedule", ["steps", "cosine", "plateau"])
@pytest.mark.parametrize(("steps_per_epoch", "rise"), [(4000, 1000), (200, 200)])
def test_a_larger_batch_has_a_larger_rate_that_rises(
    config_of, schedule, steps_per_epoch, rise
):
    settings = {"train.learning_rate": 0.002, "train.schedule": schedule}
    settings |= {"train.decay_epochs": [50], "train.epochs": 1000}
    large = {"data.batch_size": 8, "train.rate_batch_size": 2}
    config = config_of(settings | large)
    first, half, risen = rates_of(config, steps_per_epoch, 0, rise // 2, rise)
    np.testing.assert_allclose([first, half, risen], [0.002, 0.005, 0.008], rtol=1e-3)
    same = config_of(settings | {"data.batch_size": 2, "train.rate_batch_size": 2})
    assert rates_of(same, steps_per_epoch, 0) == [np.float32(0.002)]


def test_a_rise_that_is_set_stays_as_it_is(config_of):
    settings = {"train.learning_rate": 0.002, "train.warmup_steps": 10}
    settings |= {"data.batch_size": 8, "train.rate_batch_size": 2}
    rates = rates_of(config_of(settings | {"train.warmup_factor": 0.5}), 4000, 0, 10)
    np.testing.assert_allclose(rates, [0.004, 0.008], rtol=1e-6)
