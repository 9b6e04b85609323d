import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.layers.dense import Dense

SHAPES = [(6, 5), (2, 3, 5), (1, 0, 5)]


def outputs_and_gradients(layer, inputs, training, *, jit_compile=False):
    @tf.function(jit_compile=jit_compile, autograph=False)
    def run(inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs, training=training)
            loss = tf.reduce_sum(tf.sin(outputs))
        return outputs, *tape.gradient(loss, [inputs, *layer.trainable_variables])

    return [value.numpy() for value in run(inputs)]


def layers(units=4, **settings):
    """Returns the layer and Keras' own, with the same weights."""
    pair = [kind(units, **settings) for kind in (Dense, keras.layers.Dense)]
    for layer in pair:
        layer.build((None, 5))
    rng = np.random.default_rng(1)
    weights = [rng.normal(size=w.shape) for w in pair[0].weights]
    for layer in pair:
        layer.set_weights(weights)
    return pair


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "settings", [{"activation": "relu"}, {"use_bias": False}], ids=str
)
def test_outputs_and_gradients_are_those_of_keras(shape, settings, training):
    own, other = layers(**settings)
    inputs = tf.random.stateless_normal(shape, [1, 2])
    found = outputs_and_gradients(own, inputs, training)
    expected = outputs_and_gradients(other, inputs, training)
    for value, wanted in zip(found, expected, strict=True):
        assert value.shape == wanted.shape and value.dtype == wanted.dtype
        np.testing.assert_allclose(value, wanted, rtol=1e-5, atol=1e-5)
    assert 0 in shape or np.abs(found[1]).max() > 0.1


@pytest.mark.xla
def test_outputs_and_gradients_are_the_same_under_xla():
    own, other = layers(activation="relu")
    inputs = tf.random.stateless_normal([2, 3, 5], [1, 2])
    found = outputs_and_gradients(own, inputs, True, jit_compile=True)
    for value, wanted in zip(
        found, outputs_and_gradients(other, inputs, True), strict=True
    ):
        np.testing.assert_allclose(value, wanted, rtol=1e-5, atol=1e-5)


def test_the_kernel_is_not_turned_in_training():
    """The product with a transposed kernel takes several times as long on a CPU."""
    kernel = (5, 4)

    def turned(layer):
        @tf.function(autograph=False)
        def run(inputs):
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                loss = tf.reduce_sum(layer(inputs, training=True) ** 2)
            return tape.gradient(loss, inputs)

        graph = run.get_concrete_function(tf.TensorSpec([6, 5])).graph
        return [
            op
            for op in graph.get_operations()
            if op.type == "MatMul"
            and op.get_attr("transpose_b")
            and tuple(op.inputs[1].shape) == kernel
        ]

    own, other = layers()
    assert not turned(own) and turned(other)


def test_the_dtype_policy_is_obeyed():
    own, _ = layers(dtype="mixed_bfloat16")
    outputs, *gradients = outputs_and_gradients(own, tf.ones([2, 5]), True)
    assert outputs.dtype == tf.bfloat16.as_numpy_dtype
    assert [g.dtype for g in gradients] == [np.float32] * 3
