import numpy as np
import pytest

from tf_frcnn.layers import LocalResponseNormalization


def test_a_corner_an_edge_and_the_middle_by_hand(in_mode):
    features = np.float32([[1, 2, 0], [3, 0, 0], [0, 0, 6]]).reshape(1, 3, 3, 1)
    layer = LocalResponseNormalization(3, alpha=9.0, beta=0.5)
    # Sums of squares around: 14 for 1, 14 for 2, 14 for 3 and 36 for 6; alpha / 9 = 1.
    expected = np.float32([[1, 2, 0], [3, 0, 0], [0, 0, 6]])
    expected = expected / np.sqrt([[15, 15, 5], [15, 51, 41], [10, 46, 37]])
    np.testing.assert_allclose(
        np.reshape(in_mode(layer)(features), [3, 3]), expected, rtol=1e-6
    )


def test_cells_beyond_the_map_count():
    layer = LocalResponseNormalization(3, alpha=9.0, beta=1.0)
    # One cell of nine: 4 / (1 + 16), not 4 / (1 + 9 * 16).
    np.testing.assert_allclose(layer(np.float32([[[[4]]]])), [[[[4 / 17]]]], rtol=1e-6)


def test_channels_do_not_see_each_other(in_mode):
    features = np.random.default_rng(0).uniform(0, 9, (2, 4, 5, 3)).astype(np.float32)
    layer = LocalResponseNormalization(3, alpha=1.0, beta=0.75)
    both = in_mode(layer)(features)
    alone = in_mode(layer)(features[..., 1:2])
    np.testing.assert_allclose(both[..., 1:2], alone, rtol=1e-6)


def test_the_numbers_of_zf_by_hand():
    features = np.full([1, 3, 3, 1], 200, np.float32)
    middle = LocalResponseNormalization()(features)[0, 1, 1, 0]
    # 1 + 0.00005 * 40000 = 3
    np.testing.assert_allclose(middle, 200 * 3**-0.75, rtol=1e-6)


def test_half_precision_does_not_lose_alpha():
    features = np.full([1, 3, 3, 1], 8, np.float32)
    layer = LocalResponseNormalization(alpha=1e-3, dtype="mixed_bfloat16")
    result = layer(features)
    assert result.dtype == "bfloat16"
    # 1 + 0.064 to the power -0.75 is 0.955.
    np.testing.assert_allclose(np.float32(result)[0, 1, 1, 0], 8 * 0.955, rtol=5e-3)


@pytest.mark.parametrize("size", [0, 2])
def test_a_size_without_a_middle_is_named(size):
    with pytest.raises(ValueError, match=f"size = {size} must be odd"):
        LocalResponseNormalization(size)
