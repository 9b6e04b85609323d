import keras
import numpy as np
import pytest

from tf_frcnn.backbones.zf import zf


@pytest.fixture(scope="module")
def backbone():
    return zf()


def up_to(backbone, name):
    return keras.Model(backbone.input, backbone.get_layer(name).output)


def test_the_five_convolutions_have_the_shapes_of_the_original(backbone):
    shapes = {
        layer.name: tuple(layer.kernel.shape)
        for layer in backbone.layers
        if layer.weights
    }
    assert shapes == {
        "conv1": (7, 7, 3, 96),
        "conv2": (5, 5, 96, 256),
        "conv3": (3, 3, 256, 384),
        "conv4": (3, 3, 384, 384),
        "conv5": (3, 3, 384, 256),
    }


@pytest.mark.parametrize("side", [6, 7])
def test_pooling_rounds_up_as_caffe_does(backbone, side):
    cells = np.arange(side, dtype=np.float32).reshape(1, side, 1, 1)
    cells = np.tile(cells, [1, 1, side, 96])
    pooled = backbone.get_layer("pool1")(backbone.get_layer("pool1_pad")(cells))
    # Windows begin at -1, 1, 3 and 5: of 6 rows the last holds row 5 alone.
    expected = {6: [1, 3, 5, 5], 7: [1, 3, 5, 6]}[side]
    np.testing.assert_array_equal(pooled[0, :, 0, 0], expected)
    assert pooled.shape[2] == 4


@pytest.mark.parametrize(
    ("image", "cells"), [((600, 1000), (39, 64)), ((224, 225), (15, 15))]
)
def test_a_map_is_as_large_as_in_caffe(backbone, image, cells):
    # 600: 300, pooled 151, 76, pooled 39. 1000: 500, 251, 126, 64.
    assert backbone.compute_output_shape((1, *image, 3)) == (1, *cells, 256)


def test_a_shift_by_16_pixels_is_a_shift_by_one_cell(backbone, some_images):
    images = some_images(240, 240)
    features = backbone(images).numpy()
    shifted = backbone(images[:, 16:, 16:]).numpy()
    inside = slice(5, 9)
    np.testing.assert_allclose(
        shifted[:, inside, inside], features[:, 6:10, 6:10], rtol=1e-3, atol=1e-5
    )


def test_all_that_is_normalised_comes_after_its_relu(backbone, some_images):
    images = some_images(32, 48)
    before, after = (
        up_to(backbone, name)(images).numpy() for name in ("conv1", "norm1")
    )
    assert before.min() == 0 and before.max() > 0
    assert np.all(after <= before) and np.any(after < before)


@pytest.mark.parametrize("frozen_blocks", [0, 2, 5])
def test_the_first_convolutions_are_frozen(frozen_blocks):
    layers = [layer for layer in zf(frozen_blocks).layers if layer.weights]
    assert [layer.trainable for layer in layers] == [
        number > frozen_blocks for number in range(1, 6)
    ]


def test_a_backbone_from_its_config_gives_the_same_features(backbone, some_images):
    copy = keras.Model.from_config(backbone.get_config())
    copy.set_weights(backbone.get_weights())
    images = some_images(33, 50)
    np.testing.assert_array_equal(copy(images), backbone(images))
