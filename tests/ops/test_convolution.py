import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.ops.convolution import convolve_for_few

SHAPE, CHANNELS = (2, 9, 12, 4), 3


def draw(seed, *shape):
    return tf.constant(np.random.default_rng(seed).normal(size=shape), tf.float32)


def gradients(convolve, features, kernel, upstream):
    """Returns the result, and the gradients of features and kernel in a graph."""

    @tf.function(autograph=False)
    def compute(features, kernel):
        with tf.GradientTape() as tape:
            tape.watch([features, kernel])
            found = convolve(features, kernel)
            loss = tf.reduce_sum(found * upstream)
        return found, *tape.gradient(loss, [features, kernel])

    return compute(features, kernel)


def plain(features, kernel):
    return tf.nn.conv2d(features, kernel, 1, "SAME")


@pytest.mark.parametrize("size", [1, 3, 5])
@pytest.mark.parametrize("num_cells", [0, 1, 30, 216])
def test_gradients_are_those_of_all_cells(size, num_cells):
    features, kernel = draw(0, *SHAPE), draw(1, size, size, SHAPE[-1], CHANNELS)
    upstream = draw(2, *SHAPE[:3], CHANNELS).numpy().reshape(-1, CHANNELS)
    chosen = np.random.default_rng(3).permutation(len(upstream))[num_cells:]
    upstream[chosen] = 0
    upstream = tf.reshape(upstream, [*SHAPE[:3], CHANNELS])
    found = gradients(convolve_for_few, features, kernel, upstream)
    expected = gradients(plain, features, kernel, upstream)
    for own, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(own, right, rtol=1e-5, atol=1e-5)


def test_a_corner_reaches_only_what_is_inside():
    features, kernel = tf.ones([1, 3, 4, 1]), tf.ones([3, 3, 1, 1])
    upstream = tf.one_hot([[[0] + [1] * 3] + [[1] * 4] * 2], 1, dtype=tf.float32)
    _, of_features, of_kernel = gradients(convolve_for_few, features, kernel, upstream)
    expected = np.zeros([3, 4])
    expected[:2, :2] = 1
    np.testing.assert_array_equal(of_features[0, ..., 0], expected)
    np.testing.assert_array_equal(
        of_kernel[..., 0, 0], [[0, 0, 0], [0, 1, 1], [0, 1, 1]]
    )


def test_what_is_not_a_number_is_not_passed_over():
    features, kernel = tf.ones([1, 4, 4, 1]), tf.ones([3, 3, 1, 1])
    upstream = tf.one_hot([[[0, 1, 1, 1]] + [[1] * 4] * 3], 1, on_value=np.nan)
    _, of_features, of_kernel = gradients(convolve_for_few, features, kernel, upstream)
    assert np.isnan(of_features[0, :2, :2]).all()
    assert np.isnan(of_kernel[1:, 1:]).all()


def test_the_cells_that_do_not_count_are_not_read():
    """A cell far from all that count may hold what is not a number."""
    features = draw(0, 1, 9, 9, 2).numpy()
    features[0, 8, 8] = np.nan
    upstream = np.zeros([1, 9, 9, 1], np.float32)
    upstream[0, 2, 2] = 1
    _, _, of_kernel = gradients(
        convolve_for_few, tf.constant(features), draw(1, 3, 3, 2, 1), upstream
    )
    np.testing.assert_array_equal(of_kernel[..., 0], features[0, 1:4, 1:4])
