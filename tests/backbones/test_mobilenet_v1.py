import keras
import numpy as np
import pytest

from tf_frcnn.backbones import BACKBONES
from tf_frcnn.backbones.pretrained import set_weights, weighted_layers
from tf_frcnn.layers import TailHead


def reference_of(width, randomize):
    keras.utils.set_random_seed(0)
    network = keras.applications.MobileNet(
        alpha=width, include_top=False, weights=None, input_shape=(None, None, 3)
    )
    randomize(network)
    return network


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "width"), [("mobilenet_v1_025_c4", 0.25), ("mobilenet_v1_c4", 1.0)]
)
def test_layers_and_features_equal_keras_applications(
    name, width, randomize, some_images
):
    reference = reference_of(width, randomize)
    backbone = BACKBONES[name].build(0, "frozen_batch")
    tail = BACKBONES[name].build_tail("frozen_batch")
    weights = {layer.name: layer.get_weights() for layer in reference.layers}
    report = set_weights(weights, backbone, TailHead(tail))
    assert report.loaded == tuple(
        layer.name for layer in weighted_layers(reference.layers)
    )
    last = keras.Model(reference.input, reference.get_layer("conv_pw_11_relu").output)
    images = some_images(64, 96)
    expected = last(images).numpy()
    features = backbone(images, training=True)
    assert expected.std(axis=(1, 2)).mean() > 0.1
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-4)


def test_the_tail_equals_the_last_blocks_where_their_stride_is_1(randomize):
    tail = BACKBONES["mobilenet_v1_025_c4"].build_tail("frozen_batch")
    reference = reference_of(0.25, randomize)
    set_weights({n.name: n.get_weights() for n in reference.layers}, tail)
    inputs = features = keras.Input((None, None, 128))
    for part in ("dw_12", "dw_12_bn", "dw_12_relu", "pw_12", "pw_12_bn", "pw_12_relu"):
        layer = reference.get_layer(f"conv_{part}")
        if part == "dw_12":
            config = layer.get_config() | {"strides": 1, "padding": "same"}
            strided, layer = layer, keras.layers.DepthwiseConv2D.from_config(config)
        features = layer(features)
    unstrided = keras.Model(inputs, features)
    unstrided.get_layer("conv_dw_12").set_weights(strided.get_weights())
    pooled = np.random.default_rng(0).uniform(0, 6, (3, 7, 7, 128)).astype(np.float32)
    own = keras.Model(tail.input, tail.get_layer("conv_pw_12_relu").output)
    np.testing.assert_allclose(own(pooled), unstrided(pooled), rtol=1e-4, atol=1e-4)
    assert tail.compute_output_shape(pooled.shape) == (3, 7, 7, 256)


@pytest.mark.parametrize(("name", "channels"), [("050", 256), ("075", 384)])
def test_a_narrower_network_has_fewer_channels(name, channels):
    backbone = BACKBONES[f"mobilenet_v1_{name}_c4"].build(0, "frozen_batch")
    assert backbone.name == f"mobilenet_v1_{name}_c4"
    assert backbone.output_shape == (None, None, None, channels)


def test_features_lie_between_0_and_6(some_images):
    backbone = BACKBONES["mobilenet_v1_025_c4"].build(0, "group")
    features = backbone(10 * some_images(64, 64)).numpy()
    assert features.min() == 0 and features.max() <= 6


@pytest.mark.parametrize("name", ["mobilenet_v1_025_c4", "mobilenet_v1_c4_slim"])
def test_sides_are_rounded_up_whenever_they_are_halved(name, some_images):
    backbone = BACKBONES[name].build(0, "frozen_batch")
    assert backbone.compute_output_shape((1, 600, 801, 3))[1:3] == (38, 51)
    assert backbone(some_images(33, 50)).shape[1:3] == (3, 4)


def first_cell(name, image):
    """Returns what conv1 sees first: the sum over its 3x3 kernel at cell (0, 0)."""
    backbone = BACKBONES[name].build(0, "frozen_batch")
    conv1 = backbone.get_layer("conv1")
    conv1.set_weights([np.ones(conv1.kernel.shape)])
    return keras.Model(backbone.input, conv1.output)(image)[0, 0, 0, 0]


def test_the_form_of_tf_faster_rcnn_pads_alike_on_all_sides():
    image = np.zeros([1, 4, 4, 3], np.float32)
    image[0, :, :, 0] = np.arange(16).reshape(4, 4)
    # Cells 0, 1, 4 and 5 behind a border of zeros, or cells 0-2, 4-6 and 8-10.
    assert first_cell("mobilenet_v1_c4_slim", image) == 10
    assert first_cell("mobilenet_v1_c4", image) == 45


@pytest.mark.parametrize("frozen_blocks", [2, 4])
def test_a_block_ends_before_the_map_is_halved_again(frozen_blocks):
    backbone = BACKBONES["mobilenet_v1_025_c4"].build(frozen_blocks, "group")
    frozen = {
        int(layer.name.split("_")[2])
        for layer in backbone.layers
        if layer.name.startswith("conv_") and layer.weights and not layer.trainable
    }
    last = {2: 3, 4: 11}[frozen_blocks]
    assert frozen == set(range(1, last + 1))
    assert not backbone.get_layer("conv1").trainable


def test_every_layer_starts_from_its_own_random_weights():
    backbone = BACKBONES["mobilenet_v1_025_c4"].build(0, "frozen_batch")
    first, second = (
        backbone.get_layer(f"conv_pw_{n}").get_weights()[0] for n in (7, 8)
    )
    assert np.all(first != second)
    np.testing.assert_allclose([first.std(), second.std()], 0.08, rtol=0.03)
