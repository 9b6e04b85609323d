import keras
import numpy as np
import pytest

from tf_frcnn.backbones import BACKBONES
from tf_frcnn.backbones.vgg16 import vgg16, vgg16_floor, vgg16_fpn

CONVOLUTIONS = [
    *("block1_conv1", "block1_conv2", "block2_conv1", "block2_conv2"),
    *("block3_conv1", "block3_conv2", "block3_conv3"),
    *("block4_conv1", "block4_conv2", "block4_conv3"),
    *("block5_conv1", "block5_conv2", "block5_conv3"),
]


@pytest.fixture(scope="module")
def backbone():
    return vgg16()


def some_images(height, width):
    rng = np.random.default_rng(0)
    return rng.uniform(-100, 100, (2, height, width, 3)).astype(np.float32)


def test_the_13_convolutions_have_the_names_and_weights_of_the_original(backbone):
    assert [layer.name for layer in backbone.layers if layer.weights] == CONVOLUTIONS
    assert backbone.count_params() == 14_714_688


def test_an_image_of_600_x_800_has_38_x_50_cells(backbone):
    assert backbone.compute_output_shape((1, 600, 800, 3)) == (1, 38, 50, 512)


def test_halving_an_odd_side_keeps_the_last_row_and_column(backbone):
    # Sides of 33 and 50 become 17, 9, 5, 3 and 25, 13, 7, 4.
    assert backbone(some_images(33, 50)).shape == (2, 3, 4, 512)
    pooled = backbone.get_layer("block1_pool")(np.float32([[[[1], [2], [3]]]]))
    np.testing.assert_array_equal(np.squeeze(pooled), [2, 3])


@pytest.mark.parametrize("frozen_blocks", [0, 2, 5])
def test_the_first_blocks_are_frozen(frozen_blocks):
    backbone = vgg16(frozen_blocks)
    trainable = {layer.name for layer in backbone.layers if layer.trainable_weights}
    assert trainable == {n for n in CONVOLUTIONS if int(n[5]) > frozen_blocks}


@pytest.mark.slow
def test_features_equal_keras_applications_with_the_same_weights(backbone):
    reference = keras.applications.VGG16(weights=None, include_top=False)
    reference.set_weights(backbone.get_weights())
    conv5_3 = keras.Model(reference.input, reference.get_layer("block5_conv3").output)
    images = some_images(32, 48)
    expected = conv5_3(images).numpy()
    assert expected.any()
    np.testing.assert_allclose(
        backbone(images), expected, rtol=1e-4, atol=1e-5 * expected.max()
    )


@pytest.mark.slow
def test_a_backbone_from_its_config_gives_the_same_features(backbone):
    copy = keras.Model.from_config(backbone.get_config())
    copy.set_weights(backbone.get_weights())
    images = some_images(16, 17)
    np.testing.assert_array_equal(copy(images), backbone(images))
    frozen = [layer.name for layer in copy.layers if not layer.trainable]
    assert frozen == CONVOLUTIONS[:4]


@pytest.mark.slow
def test_the_form_of_torchvision_drops_the_last_row_and_column_of_odd_sides(backbone):
    floor = vgg16_floor()
    assert [layer.name for layer in floor.layers if layer.weights] == CONVOLUTIONS
    # Sides of 47 and 65 become 23, 11, 5, 2 and 32, 16, 8, 4.
    assert floor.compute_output_shape((1, 47, 65, 3)) == (1, 2, 4, 512)
    pooled = floor.get_layer("block1_pool")(np.float32([[[[1], [2], [9]], [[0]] * 3]]))
    np.testing.assert_array_equal(np.ravel(pooled), [2])
    floor.set_weights(backbone.get_weights())
    images = some_images(32, 48)
    np.testing.assert_array_equal(floor(images), backbone(images))


def test_the_form_of_torchvision_has_the_imagenet_weights_of_the_other():
    floor, ceiling = BACKBONES["vgg16_floor"], BACKBONES["vgg16"]
    assert floor.imagenet is ceiling.imagenet is not None
    assert floor.image_mode == ceiling.image_mode == "caffe"


@pytest.fixture(scope="module")
def pyramid():
    return vgg16_fpn()


def test_the_pyramid_has_three_maps_for_odd_sides_too(pyramid):
    shapes = pyramid.compute_output_shape((1, 600, 800, 3))
    assert shapes == [(1, 75, 100, 256), (1, 38, 50, 256), (1, 19, 25, 256)]
    maps = pyramid(some_images(33, 50))
    assert [m.shape for m in maps] == [(2, 5, 7, 256), (2, 3, 4, 256), (2, 2, 2, 256)]
    np.testing.assert_array_equal(maps[2], maps[1][:, ::2, ::2])


@pytest.mark.slow
def test_the_pyramid_reads_conv4_3_and_conv5_3_of_the_same_network(backbone, pyramid):
    for layer in backbone.layers:
        pyramid.get_layer(layer.name).set_weights(layer.get_weights())
    read = [pyramid.get_layer(f"fpn_lateral{level}").input for level in (3, 4)]
    finer, coarser = keras.Model(pyramid.input, read)(images := some_images(32, 48))
    conv4_3 = keras.Model(backbone.input, backbone.get_layer("block4_conv3").output)
    np.testing.assert_array_equal(finer, conv4_3(images))
    np.testing.assert_array_equal(coarser, backbone(images))
    assert BACKBONES["vgg16_fpn"].imagenet is BACKBONES["vgg16"].imagenet


def test_the_maps_of_the_pyramid_have_the_same_size_whatever_vgg16_gives(pyramid):
    for factor in (1.0, 100.0):
        for features in pyramid(factor * some_images(64, 96)):
            assert 0.5 < np.std(features) < 1.5


@pytest.mark.parametrize("frozen_blocks", [0, 5])
def test_the_pyramid_learns_whatever_is_frozen(frozen_blocks):
    pyramid = vgg16_fpn(frozen_blocks)
    trainable = {layer.name for layer in pyramid.layers if layer.trainable_weights}
    own = {n for n in CONVOLUTIONS if int(n[5]) > frozen_blocks}
    assert {name for name in trainable if not name.startswith("fpn_")} == own
    assert len(trainable) == len(own) + 8
