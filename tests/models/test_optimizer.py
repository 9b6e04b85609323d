import keras
import numpy as np
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


WAYS = {
    "plain": lambda optimizer: optimizer,
    "scaling the loss": keras.optimizers.LossScaleOptimizer,
    "from its config": lambda optimizer: keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(optimizer)
    ),
}


@pytest.mark.parametrize("strategy", [None, "mirrored"])
@pytest.mark.parametrize("way", WAYS)
def test_adamw_takes_a_share_of_the_kernels_alone(way, strategy):
    settings = TrainSettings(optimizer="adamw", weight_decay=0.2, clip_norm=3.0)
    strategy = (
        tf.distribute.MirroredStrategy(["CPU:0"])
        if strategy
        else tf.distribute.get_strategy()
    )
    with strategy.scope():
        optimizer = WAYS[way](build_optimizer(settings, 0.5))
        kernel, bias, scale = (
            keras.Variable(np.ones(shape, np.float32)) for shape in ([2, 2], [2], [])
        )
        variables = [bias, kernel, scale]
        optimizer.build(variables)
        zeros = [tf.zeros(v.shape) for v in variables]
        tf.function(strategy.run)(lambda: optimizer.apply(zeros, variables))
    np.testing.assert_allclose(kernel.numpy(), 0.9 * np.ones([2, 2]), rtol=1e-6)
    np.testing.assert_array_equal(bias.numpy(), [1, 1])
    assert scale.numpy() == 1.0
    own = getattr(optimizer, "inner_optimizer", optimizer)
    assert own.global_clipnorm == 3.0 and decays_weights(optimizer)


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
