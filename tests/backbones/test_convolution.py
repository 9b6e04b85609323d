import keras
import numpy as np
import pytest

from tf_frcnn.backbones.convolution import GroupedConv2D, Style, convolve, normalize

FROZEN, GROUP = Style("frozen_batch"), Style("group")


def network(build, channels=3):
    """Returns the network that a function of symbolic features builds."""
    inputs = keras.Input((None, None, channels))
    return keras.Model(inputs, build(inputs))


def some_features(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("side", [4, 5])
def test_a_stride_keeps_the_first_cell_of_each_two_in_the_middle_of_the_kernel(side):
    build = network(
        lambda x: convolve(x, 1, 3, stride=2, style=FROZEN, trainable=True, name="a"), 1
    )
    kernel = np.zeros([3, 3, 1, 1])
    kernel[1, 1] = 1
    build.get_layer("a_conv").set_weights([kernel])
    features = np.arange(side**2, dtype=np.float32).reshape(1, side, side, 1)
    # Padding "same" would begin at cell 1 where the side is even.
    np.testing.assert_allclose(build(features), features[:, ::2, ::2], rtol=1e-4)


def test_the_layers_have_the_names_of_keras_applications():
    layers = network(
        lambda x: convolve(x, 4, 3, stride=2, style=FROZEN, trainable=True, name="a")
    ).layers[1:]
    assert [layer.name for layer in layers] == ["a_pad", "a_conv", "a_bn"]
    layers = network(
        lambda x: convolve(x, 4, 1, stride=2, style=GROUP, trainable=True, name="a")
    ).layers[1:]
    assert [layer.name for layer in layers] == ["a_conv", "a_gn"]


def test_a_fixed_batch_normalisation_uses_its_statistics_in_training_too():
    model = network(lambda x: normalize(x, FROZEN, True, "a"), 1)
    gamma, beta, mean, variance = 3.0, 10.0, 1.0, 4.0
    model.set_weights([np.float32([v]) for v in (gamma, beta, mean, variance)])
    assert model.trainable_weights == []
    values = np.float32([5, 1]).reshape(1, 1, 2, 1)
    for training in (True, False):
        # (5 - 1) / 2 * 3 + 10 and (1 - 1) / 2 * 3 + 10
        result = np.ravel(model(values, training=training))
        np.testing.assert_allclose(result, [16, 10], rtol=1e-5)
    np.testing.assert_array_equal(model.get_weights()[2], [mean])


@pytest.mark.parametrize(
    ("channels", "groups"), [(3, 3), (24, 24), (64, 32), (96, 32), (160, 32), (74, 2)]
)
def test_groups_are_the_largest_divisor_of_the_channels_up_to_32(channels, groups):
    model = network(lambda x: normalize(x, GROUP, True, "a"), channels)
    assert model.get_layer("a_gn").groups == groups


@pytest.mark.parametrize("trainable", [True, False])
def test_group_normalisation_learns_with_its_convolution(trainable):
    model = network(
        lambda x: convolve(x, 4, 1, style=GROUP, trainable=trainable, name="a")
    )
    assert len(model.trainable_weights) == 3 * trainable


@pytest.mark.parametrize("style", [FROZEN, GROUP])
def test_an_image_does_not_depend_on_its_batch_mate(style):
    model = network(lambda x: convolve(x, 4, 3, style=style, trainable=True, name="a"))
    features = some_features(2, 5, 6, 3)
    batch = model(features, training=True)
    alone = model(features[:1], training=True)
    np.testing.assert_allclose(batch[:1], alone, rtol=1e-5, atol=1e-6)


def test_an_unknown_normalisation_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'batch' must be frozen_batch or group"):
        network(lambda x: normalize(x, Style("batch"), True, "a"))


def test_each_group_sees_its_own_channels_by_hand():
    layer = GroupedConv2D(2, 1, groups=2)
    layer.build((None, None, None, 4))
    layer.set_weights([np.float32([[[[1, 100], [10, 1000]]]]), np.float32([0.5, 0])])
    # 1 * 1 + 2 * 10 + 0.5 and 3 * 100 + 4 * 1000
    result = layer(np.float32([[[[1, 2, 3, 4]]]]))
    np.testing.assert_array_equal(result, [[[[21.5, 4300]]]])


@pytest.mark.parametrize(("padding", "stride"), [("same", 1), ("valid", 2)])
def test_groups_one_by_one_give_what_keras_gives(in_mode, padding, stride):
    settings = {"groups": 3, "padding": padding, "strides": stride}
    ours = GroupedConv2D(6, 3, **settings)
    reference = keras.layers.Conv2D(6, 3, **settings)
    features = some_features(2, 7, 6, 12)
    for layer in (ours, reference):
        layer.build(features.shape)
    reference.set_weights(ours.get_weights())
    expected = reference(features)
    assert ours.compute_output_shape(features.shape) == expected.shape
    result = in_mode(ours)(features)
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


def test_a_grouped_convolution_from_its_config_gives_the_same():
    layer = GroupedConv2D(4, 3, 2, "valid", groups=2, use_bias=False)
    features = some_features(1, 5, 5, 4)
    expected = layer(features)
    saved = keras.saving.serialize_keras_object(layer)
    copy = keras.saving.deserialize_keras_object(saved)
    copy.set_weights(layer.get_weights())
    np.testing.assert_array_equal(copy(features), expected)
