import keras
import pytest
import tensorflow as tf

from tf_frcnn.config import TrainSettings
from tf_frcnn.models.optimizer import build_optimizer, decays_weights, step_count


def test_the_configured_optimizer_is_built():
    sgd = build_optimizer(TrainSettings(momentum=0.8, clip_norm=3.0), 0.1)
    assert isinstance(sgd, keras.optimizers.SGD)
    assert (sgd.momentum, sgd.global_clipnorm, float(sgd.learning_rate)) == (
        *(0.8, 3.0),
        pytest.approx(0.1),
    )
    adam = build_optimizer(TrainSettings(optimizer="adam"), 0.1)
    assert isinstance(adam, keras.optimizers.Adam)


@pytest.mark.parametrize(
    "optimizer",
    [
        keras.optimizers.SGD(0.1),
        keras.optimizers.SGD(0.1, gradient_accumulation_steps=3),
        keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1)),
    ],
    ids=["plain", "accumulating", "scaling the loss"],
)
def test_every_step_is_counted(optimizer):
    variable = keras.Variable(1.0)
    optimizer.build([variable])
    counts = []
    for _ in range(4):
        counts.append(int(step_count(optimizer).numpy()))
        optimizer.apply([tf.constant(1.0)], [variable])
    assert counts == [0, 1, 2, 3]


def test_optimizers_that_decay_weights_are_known():
    plain, decaying = keras.optimizers.SGD(), keras.optimizers.AdamW()
    assert not decays_weights(plain) and not decays_weights(None)
    assert decays_weights(decaying)
    assert decays_weights(keras.optimizers.SGD(weight_decay=0.1))
    assert decays_weights(keras.optimizers.LossScaleOptimizer(decaying))
