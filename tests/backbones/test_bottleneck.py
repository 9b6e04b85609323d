import keras
import numpy as np
import pytest

from tf_frcnn.backbones.bottleneck import Stage, bottleneck_stage
from tf_frcnn.backbones.convolution import Style


def build(stage, stride_at, channels=1):
    inputs = keras.Input((None, None, channels))
    outputs = bottleneck_stage(
        inputs,
        stage,
        stride_at=stride_at,
        style=Style("frozen_batch", epsilon=0.0),
        trainable=True,
        name="s",
    )
    return keras.Model(inputs, outputs)


def set_kernel(model, name, value):
    """Sets a kernel of one channel to a value in its middle and zeros around."""
    layer = model.get_layer(name)
    kernel = np.zeros(layer.kernel.shape)
    kernel[kernel.shape[0] // 2, kernel.shape[1] // 2] = value
    layer.set_weights([kernel])


def strides_of(model):
    """Returns layer name -> stride of the layers that have one."""
    layers = (layer for layer in model.layers if hasattr(layer, "strides"))
    return {layer.name: layer.strides[0] for layer in layers if layer.strides[0] > 1}


def test_two_units_by_hand():
    model = build(Stage(units=2, inner=1, outer=1), "first_3x3")
    numbers = {
        **{"s_block1_0_conv": -1, "s_block1_1_conv": 2},
        **{"s_block1_2_conv": 3, "s_block1_3_conv": 1},
        **{"s_block2_1_conv": 1, "s_block2_2_conv": 1, "s_block2_3_conv": -4},
    }
    for name, value in numbers.items():
        set_kernel(model, name, value)
    image = np.arange(1, 17, dtype=np.float32).reshape(1, 4, 4, 1)
    kept = image[:, ::2, ::2]  # 1, 3, 9 and 11
    first = model.get_layer("s_block1_out").output
    first = keras.Model(model.input, first)(image)
    np.testing.assert_allclose(first, kept * (2 * 3 * 1 - 1))
    # The second unit finds -4 times its input, and 1 - 4 is cut at 0.
    np.testing.assert_array_equal(model(image), np.zeros_like(kept))
    set_kernel(model, "s_block2_3_conv", 4)
    np.testing.assert_allclose(model(image), 5 * kept * (1 + 4))


@pytest.mark.parametrize(
    ("stride_at", "expected"),
    [
        ("first_1x1", {"s_block1_0_conv", "s_block1_1_conv"}),
        ("first_3x3", {"s_block1_0_conv", "s_block1_2_conv"}),
        ("last_3x3", {"s_block3_0_pool", "s_block3_2_conv"}),
    ],
)
def test_where_the_stride_is(stride_at, expected):
    model = build(Stage(units=3, inner=2, outer=8), stride_at)
    assert strides_of(model) == dict.fromkeys(expected, 2)
    assert model.compute_output_shape((1, 9, 12, 1)) == (1, 5, 6, 8)


@pytest.mark.parametrize("stride_at", ["first_1x1", "first_3x3", "last_3x3"])
def test_a_stage_without_stride_keeps_the_size(stride_at):
    model = build(Stage(units=2, inner=2, outer=8, stride=1), stride_at)
    assert strides_of(model) == {}
    assert model.compute_output_shape((1, 9, 12, 1)) == (1, 9, 12, 8)


def test_the_shortcut_of_the_last_unit_takes_every_other_cell():
    model = build(Stage(units=1, inner=1, outer=1, stride=2), "last_3x3")
    two = build(Stage(units=2, inner=1, outer=1), "last_3x3")
    image = np.arange(1, 26, dtype=np.float32).reshape(1, 5, 5, 1)
    for name in ("s_block1_0_conv", "s_block2_1_conv", "s_block2_2_conv"):
        set_kernel(two, name, 1)
    for name in ("s_block1_3_conv", "s_block2_3_conv"):
        set_kernel(two, name, 0)
    np.testing.assert_allclose(two(image), image[:, ::2, ::2])
    # A single unit is the first and the last: its shortcut is a convolution.
    assert strides_of(model) == {"s_block1_0_conv": 2, "s_block1_2_conv": 2}


def test_only_the_3x3_convolutions_have_groups():
    model = build(Stage(units=1, inner=6, outer=6, groups=3), "first_3x3", channels=6)
    groups = {layer.name: getattr(layer, "groups", 1) for layer in model.layers}
    assert {name for name, number in groups.items() if number == 3} == {
        "s_block1_2_conv"
    }
    assert model.get_layer("s_block1_2_conv").kernel.shape == (3, 3, 2, 6)


def test_an_unknown_place_of_the_stride_is_named():
    with pytest.raises(ValueError, match=r"'first' must be one of first_1x1, "):
        build(Stage(units=1, inner=1, outer=1), "first")
