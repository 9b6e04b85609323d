import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.layers import ConvolutionalHead, FullyConnectedHead, TailHead

UNITS = 256


def dropped(head, seed, num_rois=32):
    """Returns the head's outputs in training for RoIs of ones, [R, units]."""
    ones = np.ones([1, num_rois, 1, 1, UNITS], np.float32)
    return head(ones, seed=np.int64(seed), training=True).numpy()[0]


@pytest.fixture
def head():
    """A head that without dropout returns its input of positive values."""
    head = FullyConnectedHead({"head_units": UNITS, "dropout": 0.25})
    head.build((None, None, 1, 1, UNITS))
    head.set_weights([np.eye(UNITS), np.zeros(UNITS)] * 2)
    return head


def test_two_layers_with_relu_by_hand():
    head = FullyConnectedHead({"head_units": 2})
    pooled = np.float32([[[[[1, 2]]], [[[-3, 1]]]]])
    head(pooled)
    head.fc6.set_weights([np.float32([[1, -1], [1, 0]]), np.float32([0, 2])])
    head.fc7.set_weights([np.float32([[1, 2], [3, -1]]), np.float32([0, -7])])
    # Hidden units (3, 1) and (0, 5); then (6, -2) and (15, -12), cut at 0.
    np.testing.assert_array_equal(head(pooled), [[[6, 0], [15, 0]]])


def test_a_roi_is_flattened_by_row_by_column_by_channel(head):
    head = FullyConnectedHead({"head_units": 12})
    pooled = np.arange(24, dtype=np.float32).reshape(1, 2, 2, 3, 2)
    head(pooled)
    head.set_weights([np.eye(12), np.zeros(12)] * 2)
    np.testing.assert_array_equal(head(pooled)[0], np.arange(24).reshape(2, 12))


def test_dropout_is_off_outside_of_training(head):
    ones = np.ones([1, 3, 1, 1, UNITS], np.float32)
    for outputs in (head(ones), head(ones, seed=np.int64([0, 0, 0]), training=False)):
        np.testing.assert_array_equal(outputs, np.ones([1, 3, UNITS]))


def test_a_head_without_dropout_needs_no_seed_in_training():
    head = FullyConnectedHead({"head_units": UNITS, "dropout": 0.0})
    ones = np.ones([1, 3, 1, 1, UNITS], np.float32)
    np.testing.assert_array_equal(head(ones, training=True), head(ones))


def test_dropout_follows_from_the_seed(head):
    first, same = dropped(head, [1, 5, 0]), dropped(head, [1, 5, 0])
    np.testing.assert_array_equal(first, same)
    for other in ([1, 6, 0], [2, 5, 0], [1, 5, 1]):
        assert np.any(first != dropped(head, other))


@pytest.mark.parametrize("mode", ["graph", "xla"])
def test_dropout_gives_the_same_when_compiled(head, run_in, mode):
    ones = np.ones([1, 32, 1, 1, UNITS], np.float32)

    def train(pooled, seed):
        return head(pooled, seed=seed, training=True)

    compiled = run_in(mode, train)(ones, np.int64([1, 5, 0]))
    np.testing.assert_allclose(compiled[0], dropped(head, [1, 5, 0]), rtol=1e-6)


def test_dropout_keeps_the_expected_value(head):
    outputs = dropped(head, [0, 0, 0])
    # Both layers keep three quarters of the units and enlarge them by 4 / 3.
    assert set(np.unique(outputs.round(4))) == {0, np.float32(16 / 9).round(4)}
    # 8192 units, each with a standard deviation of 0.9: 4 standard errors.
    np.testing.assert_allclose(outputs.mean(), 1, atol=0.04)


def test_the_two_layers_drop_different_units(head):
    kept = np.count_nonzero(dropped(head, [0, 0, 0])) / (32 * UNITS)
    # The same units twice would leave 0.75.
    np.testing.assert_allclose(kept, 0.75**2, atol=0.03)


def test_fc7_does_not_drop_at_a_step_what_fc6_drops_at_the_next(head):
    step = 5
    identity = head.get_weights()
    # fc7 gives ones whatever fc6 leaves: its own dropout is seen.
    head.fc7.set_weights([np.zeros([UNITS, UNITS]), np.ones(UNITS)])
    fc7_keeps, fc7_keeps_next = (dropped(head, [1, n, 0]) > 0 for n in (step, step + 1))
    head.set_weights(identity)
    fc6_keeps_next = dropped(head, [1, step + 1, 0])[fc7_keeps_next] > 0
    agree = np.mean(fc6_keeps_next == fc7_keeps[fc7_keeps_next])
    np.testing.assert_allclose(agree, 0.75**2 + 0.25**2, atol=0.03)


def picking(channels_in, channels):
    """Returns a 3x3 kernel that takes each cell's right neighbour, [3, 3, C, C2]."""
    kernel = np.zeros([3, 3, channels_in, channels], np.float32)
    kernel[1, 2] = np.eye(channels_in, channels)
    return kernel


def test_convolutions_with_relu_and_a_layer_by_hand(in_mode):
    head = ConvolutionalHead({"head_units": 2, "head_convs": 2}, channels=2)
    # One RoI of 1 x 3 cells and two channels.
    pooled = np.float32([[[[[9, 9], [1, -2], [3, 4]]]]])
    head(pooled)
    for conv in head.convs:
        conv.set_weights([picking(2, 2)])
    gamma, beta, mean, variance = (np.float32([v] * 2) for v in (2, -1, 0, 1))
    head.norms[0].set_weights([gamma, beta, mean, variance])
    kernel = np.zeros([6, 2], np.float32)
    kernel[0] = [1, -1]  # of the first cell's first channel
    kernel[1] = [10, 0]
    kernel[2] = [100, 0]  # of the second cell's first, which is cut at 0
    head.fc6.set_weights([kernel, np.float32([0.5, 0])])
    # The first convolution gives (1, 0), (5, 7) and (0, 0), the second shifts again.
    result = in_mode(head)(pooled)
    np.testing.assert_allclose(result, [[[5 + 70 + 0.5, 0]]], rtol=1e-4)


def test_each_roi_goes_through_the_convolutions_on_its_own():
    head = ConvolutionalHead(
        {"head_units": 8, "head_convs": 2}, channels=6, normalization="group"
    )
    pooled = np.random.default_rng(0).normal(size=(2, 3, 4, 4, 5)).astype(np.float32)
    together = head(pooled)
    assert together.shape == (2, 3, 8)
    alone = head(pooled[1:, 2:])
    np.testing.assert_allclose(together[1:, 2:], alone, rtol=1e-5, atol=1e-6)


def test_a_convolutional_head_has_the_weights_of_torchvision():
    head = ConvolutionalHead({"head_units": 1024, "head_convs": 4})
    head.build((None, None, 7, 7, 256))
    # Four of 256 x 256 x 9 and a scale and shift of 256 each, then the layer.
    learned = 4 * (256 * 256 * 9 + 2 * 256) + (49 * 256 + 1) * 1024
    assert head.count_params() == learned + 4 * 2 * 256
    names = [norm.name for norm in head.norms]
    assert names == [f"head_conv{number}_bn" for number in (1, 2, 3, 4)]
    assert {norm.epsilon for norm in head.norms} == {1e-5}


@pytest.mark.parametrize(("normalization", "free"), [("frozen_batch", 4), ("group", 8)])
def test_batch_normalisations_of_a_head_stay_fixed(normalization, free):
    keras.utils.set_random_seed(0)
    head = ConvolutionalHead(
        {"head_units": 3, "head_convs": 2}, channels=6, normalization=normalization
    )
    pooled = np.random.default_rng(0).normal(size=(1, 4, 3, 3, 5)).astype(np.float32)
    before = head(pooled)
    # Two kernels and a layer; with group normalisation two scales and shifts besides.
    assert len(head.trainable_weights) == free
    after = head(pooled, seed=np.int64([0, 0, 0]), training=True)
    np.testing.assert_array_equal(after, before)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(head(pooled, training=True))
    gradients = tape.gradient(total, head.trainable_weights)
    assert all(np.any(gradient) for gradient in gradients)


def doubling_tail(**settings):
    """Returns a network that doubles the first channel and halves the second."""
    layer = keras.layers.Conv2D(2, 1, use_bias=False, name="double", **settings)
    tail = keras.Sequential([keras.Input((None, None, 2)), layer])
    tail.set_weights([np.float32([[[[2, 0], [0, 0.5]]]])])
    return tail


def test_a_tail_gives_the_mean_over_its_map_by_hand(in_mode):
    head = TailHead(doubling_tail())
    # Two images of one RoI of 1 x 2 cells.
    pooled = np.float32([[[[[1, 10], [3, 30]]]], [[[[5, 0], [5, 4]]]]])
    assert head.units == 2
    np.testing.assert_allclose(in_mode(head)(pooled), [[[4, 10]], [[10, 1]]])


def test_each_roi_goes_through_the_tail_on_its_own():
    head = TailHead(doubling_tail())
    pooled = np.random.default_rng(0).normal(size=(2, 3, 2, 2, 2)).astype(np.float32)
    expected = np.mean(pooled, axis=(2, 3)) * [2, 0.5]
    np.testing.assert_allclose(head(pooled), expected, rtol=1e-5, atol=1e-6)


def test_a_tail_may_make_the_map_smaller_and_the_channels_more():
    conv = keras.layers.Conv2D(7, 3, strides=2, padding="valid")
    head = TailHead(keras.Sequential([keras.Input((None, None, 4)), conv]))
    assert head(np.ones([2, 3, 7, 7, 4])).shape == (2, 3, 7)


def test_the_mean_is_exact_where_the_tail_computes_in_half():
    head = TailHead(doubling_tail(dtype="mixed_bfloat16"), dtype="mixed_bfloat16")
    cells = np.ones([1, 1, 32, 32, 2], np.float32)
    means = head(cells)
    # A sum of 1024 cells in bfloat16 would stop growing at 512 x 2.
    assert means.dtype == "bfloat16"
    np.testing.assert_array_equal(np.float32(means), [[[2, 0.5]]])


def test_the_tail_knows_whether_the_head_trains():
    dropout = keras.layers.Dropout(0.99, seed=0)
    head = TailHead(keras.Sequential([keras.Input((None, None, 50)), dropout]))
    ones = np.ones([1, 1, 1, 1, 50], np.float32)
    np.testing.assert_array_equal(head(ones, training=False), np.ones([1, 1, 50]))
    assert np.sum(head(ones, seed=np.int64([0, 0, 0]), training=True).numpy() == 0) > 25
