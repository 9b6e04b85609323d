import keras
import numpy as np
import pytest

from tf_frcnn.backbones import BACKBONES
from tf_frcnn.backbones.pretrained import set_weights, weighted_layers
from tf_frcnn.backbones.resnet import BUBBLIIIING, SLIM, resnet_c4
from tf_frcnn.layers import TailHead


@pytest.fixture(scope="module")
def network():
    return BACKBONES["resnet50_c4"].build(2, "frozen_batch")


@pytest.fixture(scope="module")
def tail():
    return BACKBONES["resnet50_c4"].build_tail("frozen_batch")


@pytest.fixture(scope="module")
def reference(randomize):
    """ResNet50 of keras.applications, its weights random but seeded."""
    keras.utils.set_random_seed(0)
    network = keras.applications.ResNet50(
        include_top=False, weights=None, input_shape=(None, None, 3)
    )
    randomize(network)
    return network


def layer_strides(model):
    """Returns layer name -> stride of the convolutions and poolings that have one."""
    layers = (layer for layer in model.layers if hasattr(layer, "strides"))
    return {layer.name: layer.strides[0] for layer in layers if layer.strides[0] > 1}


@pytest.fixture
def exact(reference):
    """The reference in float64."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    try:
        network = keras.applications.ResNet50(include_top=False, weights=None)
    finally:
        keras.config.set_dtype_policy(policy)
    network.set_weights(reference.get_weights())
    return network


def test_layers_and_features_equal_keras_applications(
    network, tail, reference, exact, some_images
):
    weights = {layer.name: layer.get_weights() for layer in reference.layers}
    report = set_weights(weights, network, TailHead(tail))
    assert report.random == ()
    assert set(report.loaded) == {
        layer.name for layer in weighted_layers(reference.layers)
    }
    images = some_images(64, 96)
    conv4, conv5 = maps_of(reference, images)
    assert np.std(conv4, axis=(1, 2)).mean() > 0.1
    exact4, exact5 = maps_of(exact, images)
    features = network(images, training=True)
    # There conv5 starts with every other cell, here with all.
    last = tail(features[:, ::2, ::2], training=True)
    # Another order of float32 operations is as far from what is exact.
    ours = (features, conv4, exact4), (last, conv5, exact5)
    for found, reference_found, expected in ours:
        assert error(found, expected) < 1.5 * error(reference_found, expected)
        assert error(found, expected) < 5e-5 * np.max(expected)


def maps_of(network, images):
    """Returns the maps of the last units of conv4 and conv5."""
    names = ("conv4_block6_out", "conv5_block3_out")
    outputs = [network.get_layer(name).output for name in names]
    return keras.Model(network.input, outputs)(images)


def error(found, expected):
    return np.abs(np.asarray(found, np.float64) - expected).max()


def test_the_tail_keeps_the_size_of_the_pooled_roi(tail):
    assert tail.compute_output_shape((5, 7, 7, 1024)) == (5, 7, 7, 2048)
    assert len(tail.trainable_weights) == 2 * 10


def test_sides_are_rounded_up_whenever_they_are_halved(network):
    # 600 x 801 pixels: 300 x 401, 150 x 201, 75 x 101, 38 x 51.
    assert network.compute_output_shape((1, 600, 801, 3)) == (1, 38, 51, 1024)


def test_the_stride_of_keras_is_in_the_first_1x1_convolution(network):
    assert layer_strides(network) == dict.fromkeys(
        [
            *("conv1_conv", "pool1_pool"),
            *("conv3_block1_0_conv", "conv3_block1_1_conv"),
            *("conv4_block1_0_conv", "conv4_block1_1_conv"),
        ],
        2,
    )
    assert network.get_layer("conv1_bn").epsilon == 1.001e-5
    assert network.get_layer("conv1_conv").use_bias


def test_the_strides_of_slim_are_at_the_ends_of_conv2_and_conv3():
    backbone = resnet_c4(50, SLIM)
    network = backbone.build()
    assert layer_strides(network) == dict.fromkeys(
        [
            *("conv1_conv", "pool1_pool"),
            *("conv2_block3_0_pool", "conv2_block3_2_conv"),
            *("conv3_block4_0_pool", "conv3_block4_2_conv"),
        ],
        2,
    )
    assert network.compute_output_shape((1, 600, 801, 3)) == (1, 38, 51, 1024)
    assert layer_strides(backbone.build_tail("frozen_batch")) == {}
    assert network.get_layer("conv1_bn").epsilon == 1e-5
    assert not network.get_layer("conv1_conv").use_bias
    # The convolutions and normalisations of torchvision's resnet50 up to layer3.
    assert network.count_params() - 2 * sum_of_channels(network) == 8_543_296


def sum_of_channels(model):
    """Returns how many channels are normalised; each has two statistics besides."""
    return sum(layer.gamma.shape[0] for layer in model.layers if "_bn" in layer.name)


@pytest.mark.slow
@pytest.mark.parametrize("num_layers", [101, 152])
def test_deeper_networks_have_more_units_in_conv3_and_conv4(num_layers):
    network = BACKBONES[f"resnet{num_layers}_c4_slim"].build(4, "frozen_batch")
    units = [layer.name[:5] for layer in network.layers if layer.name.endswith("_out")]
    expected = {101: (3, 4, 23), 152: (3, 8, 36)}[num_layers]
    assert tuple(units.count(f"conv{n}") for n in (2, 3, 4)) == expected
    assert network.compute_output_shape((1, 32, 48, 3)) == (1, 2, 3, 1024)


@pytest.mark.parametrize("frozen_blocks", [1, 3])
def test_the_first_blocks_are_frozen(frozen_blocks):
    network = BACKBONES["resnet50_c4_slim"].build(frozen_blocks, "group")
    for layer in weighted_layers(network.layers):
        is_free = int(layer.name[4]) > frozen_blocks
        assert len(layer.trainable_weights) == is_free * len(layer.weights), layer.name


def test_batch_normalisations_are_frozen_in_all_blocks(network):
    norms = [layer for layer in network.layers if layer.name.endswith("_bn")]
    assert len(norms) == 1 + 3 * 13 + 3
    assert not any(norm.trainable for norm in norms)


class TestBubbliiiing:
    @pytest.fixture(scope="class")
    def backbone(self):
        return BACKBONES["resnet50_c4_bubbliiiing"]

    @pytest.fixture(scope="class")
    def network(self, backbone):
        return backbone.build(2, "frozen_batch")

    def test_its_stride_is_in_the_first_1x1_convolution_of_conv5_too(
        self, backbone, network
    ):
        stages = ("conv3_block1", "conv4_block1")
        assert layer_strides(network) == dict.fromkeys(
            ["conv1_conv", "pool1_pool"]
            + [f"{stage}_{number}_conv" for stage in stages for number in (0, 1)],
            2,
        )
        tail = backbone.build_tail("frozen_batch")
        assert layer_strides(tail) == {"conv5_block1_0_conv": 2} | {
            "conv5_block1_1_conv": 2
        }
        assert tail.compute_output_shape((5, 14, 14, 1024)) == (5, 7, 7, 2048)

    @pytest.mark.parametrize("side", [6, 7])
    def test_a_window_that_sticks_out_of_an_even_side_counts(self, network, side):
        rng = np.random.default_rng(0)
        cells = rng.uniform(0, 1, (1, side, side, 64)).astype(np.float32)
        pooled = network.get_layer("pool1_pool")(network.get_layer("pool1_pad")(cells))
        # Windows begin at 0, 2 and 4: of 6 rows the last holds rows 4 and 5.
        expected = [
            [cells[0, y : y + 3, x : x + 3].max(axis=(0, 1)) for x in (0, 2, 4)]
            for y in (0, 2, 4)
        ]
        np.testing.assert_array_equal(pooled[0], expected)

    def test_the_pooling_rounds_odd_sides_down_and_the_rest_up(self, network):
        # 600 x 801 pixels: 300 x 401, pooled 150 x 200, 75 x 100, 38 x 50.
        assert network.compute_output_shape((1, 600, 801, 3)) == (1, 38, 50, 1024)

    def test_it_has_the_weights_of_torchvision_up_to_layer3(self, backbone, network):
        assert network.count_params() - 2 * sum_of_channels(network) == 8_543_296
        tail = backbone.build_tail("frozen_batch")
        # 23_508_032 of resnet50 without its classifier, less those of the network.
        assert tail.count_params() - 2 * sum_of_channels(tail) == 14_964_736

    def test_it_has_no_imagenet_weights_and_its_own_image_mode(self, backbone):
        assert backbone.imagenet is None and backbone.image_mode == "scaled"
        assert BUBBLIIIING.epsilon == 1e-5 and not BUBBLIIIING.use_bias


class TestPyramid:
    @pytest.fixture(scope="class")
    def pyramid(self):
        return BACKBONES["resnet50_fpn"].build(2, "frozen_batch")

    def test_its_maps_halve_from_stride_4_to_64(self, pyramid):
        shapes = pyramid.compute_output_shape((1, 600, 801, 3))
        sides = [(150, 201), (75, 101), (38, 51), (19, 26), (10, 13)]
        assert [tuple(shape) for shape in shapes] == [(1, *s, 256) for s in sides]

    def test_its_strides_are_in_the_first_3x3_convolutions(self, pyramid):
        stages = ("conv3_block1", "conv4_block1", "conv5_block1")
        assert layer_strides(pyramid) == dict.fromkeys(
            [
                *("conv1_conv", "pool1_pool", "fpn_pool6"),
                *(f"{stage}_0_conv" for stage in stages),
                *(f"{stage}_2_conv" for stage in stages),
            ],
            2,
        )
        assert pyramid.get_layer("conv1_bn").epsilon == 1e-5

    def test_it_has_the_weights_of_torchvision(self, pyramid):
        own = sum(w.shape.num_elements() for w in self.of_pyramid(pyramid))
        # resnet50 without its classifier: 25_557_032 - 2_049_000.
        total = pyramid.count_params() - 2 * sum_of_channels(pyramid)
        assert total - own == 23_508_032
        assert own == 256 * (256 + 512 + 1024 + 2048 + 4 * 9 * 256) + 8 * 256

    def test_its_own_layers_are_never_frozen(self, pyramid):
        names = {layer.name for layer in pyramid.layers if layer.trainable_weights}
        assert {name[:5] for name in names} == {"conv3", "conv4", "conv5", "fpn_l"} | {
            "fpn_o"
        }

    def test_an_image_of_odd_sides_runs(self, pyramid, some_images):
        maps = pyramid(some_images(65, 71))
        sides = [(17, 18), (9, 9), (5, 5), (3, 3), (2, 2)]
        assert [tuple(features.shape[1:3]) for features in maps] == sides
        assert all(np.any(features) for features in maps)

    def of_pyramid(self, model):
        layers = weighted_layers(model.layers)
        return [w for layer in layers if "fpn" in layer.name for w in layer.weights]


class TestNormalizedPyramid:
    @pytest.fixture(scope="class")
    def pyramid(self):
        return BACKBONES["resnet50_fpn_v2"].build(2, "frozen_batch")

    def test_it_has_the_weights_of_torchvision(self, pyramid):
        # fasterrcnn_resnet50_fpn_v2 has 43_712_278, of which 15_207_424 are in the box
        # head, 466_375 in the box predictor and 1_184_015 in the RPN head.
        total = pyramid.count_params() - 2 * sum_of_channels(pyramid)
        assert total == 43_712_278 - 15_207_424 - 466_375 - 1_184_015

    def test_each_of_its_convolutions_is_normalised(self, pyramid):
        norms = [layer for layer in pyramid.layers if layer.name.endswith("_bn")]
        assert sum(norm.name.startswith("fpn_") for norm in norms) == 8
        assert {norm.epsilon for norm in norms} == {1e-5}
        assert not any(norm.trainable for norm in norms)
        assert not pyramid.get_layer("fpn_output2").use_bias

    def test_a_group_normalisation_learns_in_the_pyramid_as_well(self):
        pyramid = BACKBONES["resnet50_fpn_v2"].build(5, "group")
        free = {layer.name for layer in pyramid.layers if layer.trainable_weights}
        assert len(free) == 16 and all(name.startswith("fpn_") for name in free)

    def test_its_maps_are_as_large_as_those_of_the_first_version(self, pyramid):
        first = BACKBONES["resnet50_fpn"].build(2, "frozen_batch")
        shape = (1, 601, 802, 3)
        assert pyramid.compute_output_shape(shape) == first.compute_output_shape(shape)
