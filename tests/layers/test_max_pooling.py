import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.layers import MaxPooling2D


def maxima_and_gradient(layer, maps, *, jit_compile=False):
    def run(maps):
        with tf.GradientTape() as tape:
            tape.watch(maps)
            maxima = layer(maps)
            total = tf.reduce_sum(maxima**3)
        return maxima, tape.gradient(total, maps)

    return tf.function(run, jit_compile=jit_compile)(maps)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("size", "stride"), [(2, 2), (3, 2), (1, 2), (3, 1), (2, 3)])
def test_the_form_for_xla_has_the_same_maxima_and_gradients(size, stride, padding):
    # Few values, so that the largest ones tie; odd and even sides.
    draw = np.random.default_rng(0)
    for shape in ((2, 7, 10, 3), (1, 8, 9, 2), (1, 3, 4, 1)):
        maps = tf.constant(draw.integers(-3, 3, shape), tf.float32)
        layer = MaxPooling2D(size, stride, padding=padding)
        expected = maxima_and_gradient(layer, maps)
        layer.for_xla = True
        for one, other in zip(expected, maxima_and_gradient(layer, maps), strict=True):
            np.testing.assert_array_equal(one, other)
        own = keras.layers.MaxPooling2D(size, stride, padding=padding)(maps)
        np.testing.assert_array_equal(expected[0], own)


@pytest.mark.xla
def test_xla_differentiates_it_under_determinism(deterministic):
    maps = tf.constant(
        np.random.default_rng(1).integers(0, 5, (1, 7, 9, 2)), tf.float32
    )
    layer = MaxPooling2D(3, 2, padding="same")
    with pytest.raises(tf.errors.UnimplementedError, match="deterministic"):
        maxima_and_gradient(layer, maps, jit_compile=True)
    expected = maxima_and_gradient(layer, maps)
    layer.for_xla = True
    found = maxima_and_gradient(layer, maps, jit_compile=True)
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one, other)
