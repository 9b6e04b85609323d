import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.models.fused_updates import fuse_updates
from tf_frcnn.models.optimizer import AdamW

K = keras.optimizers
# The optimizer, and the kernel of its update.
FUSED = {
    "no momentum": (lambda **k: K.SGD(0.1, **k), "GradientDescent"),
    "momentum": (lambda **k: K.SGD(0.1, momentum=0.9, **k), "KerasMomentum"),
    "nesterov": (
        lambda **k: K.SGD(0.1, momentum=0.9, nesterov=True, **k),
        "KerasMomentum",
    ),
    "adam": (lambda **k: K.Adam(0.01, beta_1=0.8, epsilon=1e-3, **k), "Adam"),
    "keras adamw": (lambda **k: K.AdamW(0.01, weight_decay=0.1, **k), "Adam"),
    "adamw": (lambda **k: AdamW(0.01, weight_decay=0.1, **k), "Adam"),
}
SHAPES = ([7, 5], [5], [])


def weights_after(optimizer, *, dtype="float32", strategy=None, jit_compile=False):
    """Returns the weights after three steps, and the operations of a step."""
    rng = np.random.default_rng(0)
    strategy = strategy or tf.distribute.get_strategy()
    with strategy.scope():
        variables = [keras.Variable(rng.normal(size=s), dtype=dtype) for s in SHAPES]
        optimizer.build(variables)

    @tf.function(jit_compile=jit_compile, autograph=False)
    def step(gradients):
        strategy.run(
            lambda: optimizer.apply([tf.identity(g) for g in gradients], variables)
        )

    for _ in range(3):
        gradients = [tf.constant(rng.normal(size=s), dtype) for s in SHAPES]
        step(gradients)
    graph = step.get_concrete_function(gradients).graph
    kinds = {op.type for op in all_operations(graph)}
    return [v.numpy() for v in variables], kinds


def all_operations(graph):
    yield from graph.get_operations()
    for function in graph._functions.values():
        yield from getattr(function, "graph", function).get_operations()


def fused(optimizer):
    fuse_updates(optimizer)
    return optimizer


def assert_same(weights, expected):
    for own, other in zip(weights, expected, strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", FUSED)
def test_one_kernel_updates_a_weight_as_keras_does(name):
    make, kernel = FUSED[name]
    expected, of_keras = weights_after(make())
    weights, kinds = weights_after(fused(make()))
    assert_same(weights, expected)
    assert f"ResourceApply{kernel}" in kinds - of_keras


@pytest.mark.parametrize("name", ["momentum", "adam"])
def test_gradients_are_clipped_as_keras_does(name):
    make, _ = FUSED[name]
    for clip in ({"global_clipnorm": 0.5}, {"clipnorm": 0.5}, {"clipvalue": 0.5}):
        expected, _ = weights_after(make(**clip))
        assert_same(weights_after(fused(make(**clip)))[0], expected)
        assert np.abs(weights_after(fused(make()))[0][0] - expected[0]).max() > 1e-3
    _, kinds = weights_after(fused(K.SGD(0.1, global_clipnorm=0.5)))
    assert "L2Loss" in kinds and "Square" not in kinds


@pytest.mark.parametrize("name", ["momentum", "adam"])
def test_weights_of_64_bits_are_updated(name):
    make, _ = FUSED[name]
    expected, _ = weights_after(make(), dtype="float64")
    assert_same(weights_after(fused(make()), dtype="float64")[0], expected)


@pytest.mark.parametrize("name", ["momentum", "adam"])
def test_updates_are_the_same_on_devices_and_under_xla(name):
    make, _ = FUSED[name]
    expected, _ = weights_after(make())
    mirrored = tf.distribute.MirroredStrategy(["CPU:0"])
    with mirrored.scope():
        optimizer = fused(make())
    assert_same(weights_after(optimizer, strategy=mirrored)[0], expected)
    assert_same(weights_after(fused(make()), jit_compile=True)[0], expected)


def decayed_weights(optimizer, decay, scale=1.0):
    """Returns a kernel and a bias after five steps; `decay` is in the gradients."""
    rng = np.random.default_rng(0)
    shape, names = [4, 3], ("kernel", "bias")
    values = [np.float32(rng.normal(size=shape)) for _ in names]
    variables = [
        keras.Variable(value, name=name)
        for value, name in zip(values, names, strict=True)
    ]
    optimizer.build(variables)
    for _ in range(5):
        gradients = [tf.constant(rng.normal(size=shape), tf.float32) for _ in names]
        gradients[0] += decay * tf.convert_to_tensor(variables[0])
        optimizer.apply([scale * gradient for gradient in gradients], variables)
    return [variable.numpy() for variable in variables]


def test_the_update_has_the_decay_of_the_kernels_in_it():
    own = [K.SGD(0.1, momentum=0.9) for _ in range(3)]
    expected = decayed_weights(K.SGD(0.1, momentum=0.9), 0.3)
    without = decayed_weights(own[0], 0.0)
    assert np.abs(expected[0] - without[0]).max() > 0.1
    assert fuse_updates(own[1], 0.3)
    assert_same(decayed_weights(own[1], 0.0), expected)
    scaling = K.LossScaleOptimizer(own[2], initial_scale=8.0)
    assert fuse_updates(scaling, 0.3)
    assert_same(decayed_weights(scaling, 0.0, scale=8.0), expected)


class PlainSGD(K.SGD):
    """Keras's own updates."""


@pytest.mark.parametrize("steps", [None, 2])
def test_a_detector_decays_as_with_the_updates_of_keras(tiny_detector, batch, steps):
    ends = []
    for rule in (K.SGD, PlainSGD):
        model = tiny_detector(weight_decay=0.3)
        begin = model.get_weights()
        model.compile(rule(0.01, momentum=0.9, gradient_accumulation_steps=steps))
        losses = [model.train_on_batch(batch, return_dict=True) for _ in range(4)]
        ends.append([model.get_weights(), [step["decay_loss"] for step in losses]])
    (found, losses), (expected, losses_of_keras) = ends
    np.testing.assert_allclose(losses, losses_of_keras, rtol=1e-5)
    for own, other, old in zip(found, expected, begin, strict=True):
        np.testing.assert_allclose(own - old, other - old, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    "optimizer",
    [
        K.SGD(0.1),
        K.SGD(0.1, momentum=0.9, nesterov=True),
        K.SGD(0.1, momentum=0.9, global_clipnorm=1.0),
        K.SGD(0.1, momentum=0.9, clipvalue=1.0),
        K.SGD(0.1, momentum=0.9, weight_decay=0.1),
        K.Adam(),
        K.RMSprop(),
    ],
)
def test_others_leave_the_decay_to_the_loss(optimizer):
    assert not fuse_updates(optimizer, 0.3)
    same = type(optimizer).from_config(optimizer.get_config())
    assert_same(decayed_weights(optimizer, 0.0), decayed_weights(same, 0.0))


def test_the_optimizer_within_one_that_scales_the_loss_is_fused():
    outer = fused(K.LossScaleOptimizer(K.SGD(0.1)))
    plain = K.LossScaleOptimizer(K.SGD(0.1))
    weights, kinds = weights_after(outer)
    assert_same(weights, weights_after(plain)[0])
    assert "ResourceApplyGradientDescent" in kinds


class OwnRule(K.SGD):
    """An optimizer of a user."""

    def update_step(self, gradient, variable, learning_rate):
        """Takes the signs."""
        self.assign_sub(variable, keras.ops.sign(gradient) * 0.125)


@pytest.mark.parametrize(
    "make", [lambda: OwnRule(0.1), lambda: K.Adam(amsgrad=True), K.RMSprop]
)
def test_other_rules_are_left_as_they_are(make):
    weights, kinds = weights_after(fused(make()))
    assert not any(kind.startswith("ResourceApply") for kind in kinds)
    assert_same(weights, weights_after(make())[0])
