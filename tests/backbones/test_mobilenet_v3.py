import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.backbones.mobilenet_v3 import mobilenet_v3_large_fpn


@pytest.fixture(scope="module")
def backbone():
    return mobilenet_v3_large_fpn(0)


def up_to(backbone, first, last):
    """Returns the part of a backbone from the input of a layer to the output of one."""
    inputs = backbone.get_layer(first).input
    return keras.Model(inputs, backbone.get_layer(last).output)


@pytest.mark.parametrize(
    ("image", "sides"),
    [
        ((320, 640), [(10, 20), (10, 20), (5, 10)]),
        ((321, 650), [(11, 21), (11, 21), (6, 11)]),
    ],
)
def test_two_maps_of_stride_32_and_every_other_cell_of_the_second(
    backbone, image, sides
):
    shapes = backbone.compute_output_shape((1, *image, 3))
    assert [tuple(shape) for shape in shapes] == [(1, *s, 256) for s in sides]


def test_an_image_of_odd_sides_runs(backbone, some_images):
    first, second, extra = backbone(some_images(97, 131))
    assert first.shape == second.shape == (2, 4, 5, 256)
    np.testing.assert_array_equal(extra, second[:, ::2, ::2])
    assert np.any(first != second)


def test_it_has_the_weights_of_torchvision(backbone):
    norms = [layer for layer in backbone.layers if layer.name.endswith("_bn")]
    statistics = 2 * sum(layer.gamma.shape[0] for layer in norms)
    # mobilenet_v3_large without its classifier: 5_483_032 - 2_511_080.
    own = 256 * (160 + 960 + 2 * 9 * 256) + 4 * 256
    assert backbone.count_params() - statistics - own == 2_971_952
    assert len(norms) == 1 + 14 + 15 + 15 + 1
    assert {layer.epsilon for layer in norms} == {1e-5}


def test_the_pyramid_has_the_first_block_of_stride_32_and_the_last_convolution(
    backbone,
):
    finer, coarser = (
        backbone.get_layer(f"fpn_lateral{level}").input for level in (5, 6)
    )
    assert finer is backbone.get_layer("features13_project_bn").output
    assert coarser is backbone.get_layer("features16_act").output


def test_the_blocks_of_equal_sizes_add_their_input(backbone):
    added = {n.name for n in backbone.layers if isinstance(n, keras.layers.Add)}
    numbers = (1, 3, 5, 6, 8, 9, 10, 12, 14, 15)
    assert added == {f"features{number}_add" for number in numbers}


@pytest.mark.parametrize("side", [8, 9])
def test_a_stride_begins_at_the_first_cell(backbone, side):
    part = up_to(backbone, "features4_depthwise_pad", "features4_depthwise_conv")
    conv = part.get_layer("features4_depthwise_conv")
    before = conv.get_weights()
    kernel = np.zeros(conv.kernel.shape)
    kernel[2, 2] = 1
    conv.set_weights([kernel])
    cells = np.arange(side**2, dtype=np.float32).reshape(1, side, side, 1)
    cells = np.tile(cells, [1, 1, 1, 72])
    np.testing.assert_array_equal(part(cells), cells[:, ::2, ::2])
    conv.set_weights(before)


def test_squeeze_and_excitation_by_hand(backbone):
    part = up_to(backbone, "features4_squeeze_mean", "features4_squeeze_scale")
    names = ("features4_squeeze_reduce", "features4_squeeze_expand")
    layers = [backbone.get_layer(name) for name in names]
    before = [layer.get_weights() for layer in layers]
    reduce = np.zeros([1, 1, 72, 24])
    reduce[0, 0, 0, :2] = [1, -1]  # of the first channel, its mean and minus its mean
    expand = np.zeros([1, 1, 24, 72])
    expand[0, 0, :2, 1] = [0.5, 100]
    layers[0].set_weights([reduce, np.zeros(24)])
    layers[1].set_weights([expand, np.full(72, 0.75)])
    cells = np.ones([1, 1, 2, 72], np.float32)
    cells[0, 0, :, 0] = [2, 4]
    scaled = part(cells).numpy()[0, 0]
    # Hard sigmoid of 0.75, and for the second channel of 0.5 * 3 + 0.75: x / 6 + 0.5.
    np.testing.assert_allclose(scaled[:, 0], [2 * 0.625, 4 * 0.625], rtol=1e-6)
    np.testing.assert_allclose(scaled[:, 1], [0.875, 0.875], rtol=1e-6)
    np.testing.assert_allclose(scaled[:, 2], [0.625, 0.625], rtol=1e-6)
    for layer, weights in zip(layers, before, strict=True):
        layer.set_weights(weights)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("features3_depthwise_act", [0, 0, 0, 1, 4]), ("features7_expand_act", None)],
)
def test_blocks_have_relu_until_stride_8_and_a_hard_swish_from_then_on(
    backbone, name, expected
):
    values = np.float32([-4, -1, 0, 1, 4])
    # x * relu6(x + 3) / 6.
    expected = expected or [0, -1 / 3, 0, 2 / 3, 4]
    result = backbone.get_layer(name)(values)
    np.testing.assert_allclose(result, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("frozen_blocks", "first_free"),
    [(0, 0), (1, 2), (2, 4), (3, 7), (4, 13), (5, 16), (6, 17)],
)
def test_stages_are_frozen_as_torchvision_counts_them(frozen_blocks, first_free):
    backbone = mobilenet_v3_large_fpn(frozen_blocks, "group")
    own = [n for n in backbone.layers if n.weights and n.name.startswith("features")]
    for layer in own:
        index = int(layer.name.split("_")[0].removeprefix("features"))
        assert bool(layer.trainable_weights) == (index >= first_free), layer.name
    pyramid = [n for n in backbone.layers if n.weights and n.name.startswith("fpn")]
    assert len(pyramid) == 4 and all(layer.trainable_weights for layer in pyramid)


@pytest.mark.slow
def test_gradients_reach_every_weight(some_images):
    keras.utils.set_random_seed(0)
    backbone = mobilenet_v3_large_fpn(0, "group")
    with tf.GradientTape() as tape:
        maps = backbone(some_images(64, 96), training=True)
        total = sum(tf.reduce_sum(tf.square(features)) for features in maps)
    gradients = tape.gradient(total, backbone.trainable_weights)
    for weight, gradient in zip(backbone.trainable_weights, gradients, strict=True):
        assert np.any(gradient), weight.path


@pytest.mark.slow
def test_a_backbone_from_its_config_gives_the_same_features(backbone, some_images):
    copy = keras.Model.from_config(backbone.get_config())
    copy.set_weights(backbone.get_weights())
    images = some_images(33, 64)
    for features, expected in zip(copy(images), backbone(images), strict=True):
        np.testing.assert_array_equal(features, expected)
