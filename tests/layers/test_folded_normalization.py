import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.layers.folded_normalization import (
    DeferredConv2D,
    FoldedBatchNormalization,
)

# Strides, padding, groups, and whether the convolution has a bias.
FORMS = [(1, "same", 1, False), (2, "valid", 1, True), (1, "same", 2, True)]


def built(strides, padding, groups, use_bias, dtype="float32"):
    """Returns a convolution with its normalisation, and the two as Keras has them."""
    settings = {"strides": strides, "padding": padding, "groups": groups}
    weights = {"use_bias": use_bias, "bias_initializer": "normal", "dtype": dtype}
    inputs = keras.Input((None, None, 4))
    deferred = DeferredConv2D(6, 3, name="a_conv", **settings, **weights)
    folded = FoldedBatchNormalization(
        settings | {"strides": (strides, strides)},
        epsilon=1e-3,
        name="a_bn",
        dtype=dtype,
    )
    own = keras.Model(inputs, folded(deferred(inputs)))
    convolution = keras.layers.Conv2D(6, 3, name="a_conv", **settings, **weights)
    norm = keras.layers.BatchNormalization(epsilon=1e-3, trainable=False, dtype=dtype)
    reference = keras.Model(inputs, norm(convolution(inputs)))
    random = np.random.default_rng(0)
    values = [random.normal(size=w.shape) for w in reference.weights]
    values[-1] = np.square(values[-1])  # the variance
    for model in (own, reference):
        model.set_weights(values)
    return own, reference


@pytest.mark.parametrize("form", FORMS)
def test_it_is_the_convolution_and_its_normalisation(form):
    own, reference = built(*form)
    assert own.output_shape == reference.output_shape
    assert own.compute_output_shape((2, 9, 8, 4)) == (
        reference.compute_output_shape((2, 9, 8, 4))
    )
    image = np.random.default_rng(1).normal(size=(2, 9, 8, 4)).astype("f")
    for training in (False, True):
        found, expected = (m(image, training=training) for m in (own, reference))
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert [w.name for w in own.weights] == [w.name for w in reference.weights]
    assert len(own.trainable_weights) == len(reference.trainable_weights)


@pytest.mark.parametrize("form", FORMS)
def test_the_convolution_learns_as_before(form):
    image = np.random.default_rng(1).normal(size=(2, 9, 8, 4)).astype("f")
    gradients = []
    for model in built(*form):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.square(model(image)))
        learned = [weight.value for weight in model.trainable_weights]
        gradients.append(tape.gradient(loss, learned))
    for found, expected in zip(*gradients, strict=True):
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found / scale, expected / scale, atol=1e-5)


def test_bfloat16_is_near_float32():
    own, _ = built(*FORMS[0], dtype="mixed_bfloat16")
    _, reference = built(*FORMS[0])
    image = np.random.default_rng(1).normal(size=(1, 9, 8, 4)).astype("f")
    found, expected = own(image), reference(image)
    assert found.dtype == tf.bfloat16
    scale = np.abs(expected).max()
    np.testing.assert_allclose(tf.cast(found, "float32"), expected, atol=0.02 * scale)


def test_a_file_of_the_model_has_all_of_it(tmp_path):
    own, _ = built(*FORMS[2])
    own.save(tmp_path / "own.keras")
    again = keras.saving.load_model(tmp_path / "own.keras")
    image = np.random.default_rng(1).normal(size=(1, 9, 8, 4)).astype("f")
    np.testing.assert_array_equal(again(image), own(image))
