import numpy as np
import pytest

from tf_frcnn.layers import FullyConnectedHead

UNITS = 256


def dropped(head, seed, num_rois=32):
    """Returns the head's outputs in training for RoIs of ones, [R, units]."""
    ones = np.ones([1, num_rois, 1, 1, UNITS], np.float32)
    return head(ones, seed=np.int64(seed), training=True).numpy()[0]


@pytest.fixture
def head():
    """Is a head that without dropout returns its input of positive values."""
    head = FullyConnectedHead(UNITS, dropout=0.25)
    head.build((None, None, 1, 1, UNITS))
    head.set_weights([np.eye(UNITS), np.zeros(UNITS)] * 2)
    return head


def test_two_layers_with_relu_by_hand():
    head = FullyConnectedHead(2)
    pooled = np.float32([[[[[1, 2]]], [[[-3, 1]]]]])
    head(pooled)
    head.fc6.set_weights([np.float32([[1, -1], [1, 0]]), np.float32([0, 2])])
    head.fc7.set_weights([np.float32([[1, 2], [3, -1]]), np.float32([0, -7])])
    # Hidden units (3, 1) and (0, 5); then (6, -2) and (15, -12), cut at 0.
    np.testing.assert_array_equal(head(pooled), [[[6, 0], [15, 0]]])


def test_a_roi_is_flattened_by_row_by_column_by_channel(head):
    head = FullyConnectedHead(12)
    pooled = np.arange(24, dtype=np.float32).reshape(1, 2, 2, 3, 2)
    head(pooled)
    head.set_weights([np.eye(12), np.zeros(12)] * 2)
    np.testing.assert_array_equal(head(pooled)[0], np.arange(24).reshape(2, 12))


def test_dropout_is_off_outside_of_training(head):
    ones = np.ones([1, 3, 1, 1, UNITS], np.float32)
    for outputs in (head(ones), head(ones, seed=np.int64([0, 0]), training=False)):
        np.testing.assert_array_equal(outputs, np.ones([1, 3, UNITS]))


def test_a_head_without_dropout_needs_no_seed_in_training():
    head = FullyConnectedHead(UNITS, dropout=0.0)
    ones = np.ones([1, 3, 1, 1, UNITS], np.float32)
    np.testing.assert_array_equal(head(ones, training=True), head(ones))


def test_dropout_follows_from_the_seed(head):
    first, same = dropped(head, [1, 5]), dropped(head, [1, 5])
    np.testing.assert_array_equal(first, same)
    for other in ([1, 6], [2, 5]):
        assert np.any(first != dropped(head, other))


@pytest.mark.parametrize("mode", ["graph", "xla"])
def test_dropout_gives_the_same_when_compiled(head, run_in, mode):
    ones = np.ones([1, 32, 1, 1, UNITS], np.float32)

    def train(pooled, seed):
        return head(pooled, seed=seed, training=True)

    compiled = run_in(mode, train)(ones, np.int64([1, 5]))
    np.testing.assert_allclose(compiled[0], dropped(head, [1, 5]), rtol=1e-6)


def test_dropout_keeps_the_expected_value(head):
    outputs = dropped(head, [0, 0])
    # Both layers keep three quarters of the units and enlarge them by 4 / 3.
    assert set(np.unique(outputs.round(4))) == {0, np.float32(16 / 9).round(4)}
    # 8192 units, each with a standard deviation of 0.9: 4 standard errors.
    np.testing.assert_allclose(outputs.mean(), 1, atol=0.04)


def test_the_two_layers_drop_different_units(head):
    kept = np.count_nonzero(dropped(head, [0, 0])) / (32 * UNITS)
    # The same units twice would leave 0.75.
    np.testing.assert_allclose(kept, 0.75**2, atol=0.03)


def test_fc7_does_not_drop_at_a_step_what_fc6_drops_at_the_next(head):
    step = 5
    identity = head.get_weights()
    # fc7 gives ones whatever fc6 leaves: its own dropout is seen.
    head.fc7.set_weights([np.zeros([UNITS, UNITS]), np.ones(UNITS)])
    fc7_keeps, fc7_keeps_next = (dropped(head, [1, n]) > 0 for n in (step, step + 1))
    head.set_weights(identity)
    fc6_keeps_next = dropped(head, [1, step + 1])[fc7_keeps_next] > 0
    agree = np.mean(fc6_keeps_next == fc7_keeps[fc7_keeps_next])
    np.testing.assert_allclose(agree, 0.75**2 + 0.25**2, atol=0.03)
