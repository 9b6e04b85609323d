import keras
import numpy as np
import pytest

from tf_frcnn.backbones.application import _IMAGE_MODES, application_backbone
from tf_frcnn.backbones.imagenet import number_unnamed_layers
from tf_frcnn.backbones.pretrained import set_weights, weighted_layers
from tf_frcnn.layers import Preprocessing

NETWORKS = [name for name in dir(keras.applications) if name[0].isupper()]


def family(name):
    return getattr(keras.applications, name).__module__.rsplit(".", 1)[-1]


@pytest.fixture(scope="module")
def mobilenet():
    return application_backbone("MobileNetV3Small", "expanded_conv_4_add")


def test_every_family_has_the_image_mode_of_its_own_preprocessing():
    assert {family(name) for name in NETWORKS} == set(_IMAGE_MODES)
    images = np.random.default_rng(0).uniform(0, 255, (1, 4, 5, 3)).astype(np.float32)
    for module, mode in _IMAGE_MODES.items():
        expected = getattr(keras.applications, module).preprocess_input(images.copy())
        normalised = Preprocessing({"mode": mode})(images, np.float32([[4, 5]]))
        np.testing.assert_allclose(normalised, expected, atol=1e-4, err_msg=module)


def test_a_backbone_gives_what_the_network_gives_at_that_layer(mobilenet, some_images):
    network = keras.applications.MobileNetV3Small(
        include_top=False, weights=None, input_shape=(None, None, 3)
    )
    number_unnamed_layers(network)
    backbone = mobilenet.build(0)
    weights = {
        layer.name: layer.get_weights() for layer in weighted_layers(network.layers)
    }
    assert set_weights(weights, backbone).random == ()
    images = 255 * np.abs(some_images(64, 96))
    layer = network.get_layer("expanded_conv_4_add")
    expected = keras.Model(network.input, layer.output)(images).numpy()
    assert expected.shape == (2, 4, 6, 40)
    for training in (False, True):
        features = backbone(images, training=training)
        tolerance = 1e-5 * np.abs(expected).max()
        np.testing.assert_allclose(features, expected, rtol=1e-4, atol=tolerance)


@pytest.mark.slow
def test_nothing_is_dropped_at_random(some_images):
    backbone = application_backbone("EfficientNetB0", "block2b_add").build(0)
    assert any(isinstance(layer, keras.layers.Dropout) for layer in backbone.layers)
    images = some_images(32, 32)
    np.testing.assert_array_equal(backbone(images, training=True), backbone(images))


def test_a_backbone_knows_its_stride_mode_and_blocks(mobilenet):
    assert mobilenet.strides == (16,)
    assert mobilenet.image_mode == "raw"
    assert not mobilenet.has_normalization and mobilenet.build_tail is None
    # Strides 2, 4, 8 and 16.
    assert mobilenet.num_blocks == 4


@pytest.mark.parametrize(
    ("frozen_blocks", "first_free"), [(0, "conv"), (2, "expanded_conv_1"), (4, None)]
)
def test_blocks_are_frozen_up_to_their_stride(mobilenet, frozen_blocks, first_free):
    weights = mobilenet.build(frozen_blocks).trainable_weights
    paths = [w.path for w in weights]
    if first_free is None:
        assert paths == []
        return
    # What widens a block's channels comes before its stride; squeeze and excitation,
    # whose maps are single cells, is frozen with its block.
    assert paths[0].startswith(first_free)
    assert any("expanded_conv_squeeze" in path for path in paths) == (frozen_blocks < 2)


def test_vgg19_has_a_block_at_stride_1():
    backbone = application_backbone("VGG19", "block5_conv4")
    assert backbone.num_blocks == 5 and backbone.image_mode == "caffe"
    free = backbone.build(2).trainable_weights
    assert {w.path[:6] for w in free} == {"block3", "block4", "block5"}


@pytest.mark.slow
def test_layers_without_names_of_their_own_have_the_same_in_every_copy():
    backbone = application_backbone("Xception", "block13_sepconv1")
    first, second = backbone.build(0), backbone.build(4)
    names = [layer.name for layer in first.layers]
    assert names == [layer.name for layer in second.layers]
    assert "conv2d" in names and "conv2d_1" in names
    assert second.trainable_weights == []


@pytest.mark.slow
def test_every_batch_normalisation_is_frozen():
    backbone = application_backbone("MobileNetV2", "block_13_expand_relu")
    norms = [
        layer
        for layer in weighted_layers(backbone.build(0).layers)
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert norms and not any(norm.trainable for norm in norms)


@pytest.mark.parametrize(
    ("name", "layer", "message"),
    [
        ("Efficientnet_B0", "x", r"no network 'Efficientnet_B0'; .* EfficientNetB0"),
        ("qqqq", "x", r"no network 'qqqq'\.$"),
        ("VGG16", "block5_con3", r"VGG16 has no layer 'block5_con3'; .*block5_conv3"),
        (
            "MobileNetV3Small",
            "expanded_conv_squeeze_excite_conv",
            "is not a map: .*1, 1",
        ),
        ("Xception", "block1_conv1", r"no whole stride: 223 x 223 cells .* 448 x 448"),
    ],
)
def test_what_cannot_be_a_backbone_is_named(name, layer, message):
    with pytest.raises(ValueError, match=message):
        application_backbone(name, layer)
