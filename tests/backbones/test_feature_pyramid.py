import keras
import numpy as np
import pytest

from tf_frcnn.backbones.convolution import Style
from tf_frcnn.backbones.feature_pyramid import TopDownSum, feature_pyramid


def identity_pyramid(num_maps, **settings):
    """Returns a pyramid of one channel whose convolutions change nothing."""
    maps = [keras.Input((None, None, 1)) for _ in range(num_maps)]
    model = keras.Model(maps, feature_pyramid(maps, 1, first_level=2, **settings))
    for layer in model.layers:
        if layer.weights:
            kernel = np.zeros(layer.kernel.shape)
            kernel[kernel.shape[0] // 2, kernel.shape[1] // 2] = 1
            layer.set_weights([kernel, np.zeros([1])])
    return model


def as_map(rows):
    return np.float32(rows)[np.newaxis, ..., np.newaxis]


def test_each_coarse_cell_is_added_to_its_four_fine_ones(in_mode):
    finer = as_map([[1, 2, 3, 4], [5, 6, 7, 8]])
    coarser = as_map([[10, 20]])
    expected = as_map([[11, 12, 23, 24], [15, 16, 27, 28]])
    np.testing.assert_array_equal(in_mode(TopDownSum())(finer, coarser), expected)


def test_what_repeats_beyond_an_odd_side_is_cut_off(in_mode):
    finer, coarser = np.zeros([1, 3, 5, 1], np.float32), as_map([[1, 2, 3], [4, 5, 6]])
    expected = as_map([[1, 1, 2, 2, 3], [1, 1, 2, 2, 3], [4, 4, 5, 5, 6]])
    np.testing.assert_array_equal(in_mode(TopDownSum())(finer, coarser), expected)


def test_maps_of_one_size_are_added_cell_by_cell(in_mode):
    finer, coarser = (
        as_map([[1, 2, 3], [4, 5, 6]]),
        as_map([[10, 20, 30], [40, 50, 60]]),
    )
    expected = as_map([[11, 22, 33], [44, 55, 66]])
    np.testing.assert_array_equal(in_mode(TopDownSum())(finer, coarser), expected)


@pytest.mark.parametrize("side", range(1, 12))
@pytest.mark.parametrize("ratio", [1, 2])
def test_what_is_added_is_the_nearest_neighbour(side, ratio):
    coarse_side = -(-side // ratio)
    coarser = np.random.default_rng(0).normal(size=(1, coarse_side, coarse_side, 2))
    nearest = np.arange(side) * coarse_side // side
    total = TopDownSum(dtype="float64")(np.zeros([1, side, side, 2]), coarser)
    np.testing.assert_array_equal(total, coarser[:, nearest][:, :, nearest])


def test_a_sum_has_the_shape_and_type_of_the_finer_map():
    layer = TopDownSum(dtype="mixed_bfloat16")
    total = layer(np.ones([2, 3, 5, 4]), np.ones([2, 2, 3, 4]))
    assert total.dtype == "bfloat16" and total.shape == (2, 3, 5, 4)
    assert layer.compute_output_shape((2, 3, 5, 4), (2, 2, 3, 4)) == (2, 3, 5, 4)


def test_three_levels_by_hand():
    maps = [as_map(np.full([4, 4], 1)), as_map([[10, 20], [30, 40]]), as_map([[100]])]
    finest, middle, coarsest = identity_pyramid(3)(maps)
    np.testing.assert_array_equal(coarsest, as_map([[100]]))
    np.testing.assert_array_equal(middle, as_map([[110, 120], [130, 140]]))
    quarters = np.repeat(np.repeat([[111, 121], [131, 141]], 2, 0), 2, 1)
    np.testing.assert_array_equal(finest, as_map(quarters))


def test_what_comes_down_is_not_smoothed_before():
    model = identity_pyramid(2)
    kernel, bias = model.get_layer("fpn_output3").get_weights()
    model.get_layer("fpn_output3").set_weights([5 * kernel, bias])
    finest, coarsest = model([as_map([[0, 0], [0, 0]]), as_map([[1]])])
    np.testing.assert_array_equal(coarsest, as_map([[5]]))
    np.testing.assert_array_equal(finest, as_map([[1, 1], [1, 1]]))


def test_the_extra_level_has_every_other_cell_of_the_coarsest():
    cells = as_map(np.arange(15).reshape(3, 5))
    *_, coarsest, extra = identity_pyramid(1, extra_level=True)([cells])
    np.testing.assert_array_equal(coarsest, cells)
    np.testing.assert_array_equal(extra, as_map([[0, 2, 4], [10, 12, 14]]))


def test_the_convolutions_are_named_by_level_and_have_biases():
    maps = [keras.Input((None, None, channels)) for channels in (8, 16)]
    model = keras.Model(maps, feature_pyramid(maps, 4, first_level=3))
    shapes = {
        layer.name: tuple(layer.kernel.shape) for layer in model.layers if layer.weights
    }
    assert shapes == {
        "fpn_lateral3": (1, 1, 8, 4),
        "fpn_lateral4": (1, 1, 16, 4),
        "fpn_output3": (3, 3, 4, 4),
        "fpn_output4": (3, 3, 4, 4),
    }
    assert all(layer.use_bias for layer in model.layers if layer.weights)


def test_a_style_puts_its_normalisation_in_the_place_of_the_biases():
    maps = [keras.Input((None, None, channels)) for channels in (8, 16)]
    style = Style("frozen_batch")
    model = keras.Model(maps, feature_pyramid(maps, 4, first_level=3, style=style))
    convs = ["fpn_lateral3", "fpn_lateral4", "fpn_output3", "fpn_output4"]
    assert sorted(layer.name for layer in model.layers if layer.weights) == sorted(
        [*convs, *(f"{name}_bn" for name in convs)]
    )
    assert not any(model.get_layer(name).use_bias for name in convs)
    assert len(model.trainable_weights) == 4


def test_what_comes_down_is_normalised_once():
    maps = [keras.Input((None, None, 1)) for _ in range(2)]
    style = Style("frozen_batch", epsilon=0.0)
    model = keras.Model(maps, feature_pyramid(maps, 1, first_level=2, style=style))
    for layer in model.layers:
        if layer.name.endswith("_bn"):
            gamma = 10 if "lateral" in layer.name else 3
            layer.gamma.assign([gamma])
        elif layer.weights:
            kernel = np.zeros(layer.kernel.shape)
            kernel[kernel.shape[0] // 2, kernel.shape[1] // 2] = 1
            layer.set_weights([kernel])
    finest, coarsest = model([as_map([[1, 2]]), as_map([[5]])])
    np.testing.assert_array_equal(coarsest, as_map([[3 * 50]]))
    np.testing.assert_array_equal(finest, as_map([[3 * 60, 3 * 70]]))


def test_initial_weights_are_those_of_torchvision():
    maps = [keras.Input((None, None, 8))]
    model = keras.Model(maps, feature_pyramid(maps, 64, first_level=2))
    kernel, bias = model.get_layer("fpn_lateral2").get_weights()
    # Uniform up to sqrt(3 / fan-in): kaiming_uniform with a = 1.
    assert 0.95 * np.sqrt(3 / 8) < np.abs(kernel).max() <= np.sqrt(3 / 8)
    np.testing.assert_array_equal(bias, np.zeros([64]))
