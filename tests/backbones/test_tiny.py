import keras
import numpy as np
import pytest

from tf_frcnn.backbones.tiny import tiny


def some_images(height, width):
    rng = np.random.default_rng(0)
    return rng.uniform(-1, 1, (2, height, width, 3)).astype(np.float32)


def up_to(backbone, *names):
    """Returns the part of a backbone that ends with the named layers."""
    return keras.Model(
        backbone.input, [backbone.get_layer(name).output for name in names]
    )


def test_it_is_more_than_20_times_smaller_than_vgg16():
    assert 100_000 < tiny().count_params() < 14_714_688 / 20


def test_a_cell_has_16_pixels_and_odd_sides_are_rounded_up():
    backbone = tiny()
    assert backbone(some_images(32, 48)).shape[1:3] == (2, 3)
    assert backbone(some_images(33, 50)).shape[1:3] == (3, 4)
    assert backbone.compute_output_shape((1, 600, 800, 3))[1:3] == (38, 50)


def test_an_image_does_not_depend_on_its_batch_mate():
    backbone, images = tiny(), some_images(32, 48)
    batch = backbone(images, training=True)
    alone = backbone(images[:1], training=True)
    np.testing.assert_allclose(batch[:1], alone, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(batch, backbone(images, training=False))


def test_features_have_zero_mean_and_variance_one():
    features = tiny()(some_images(64, 96)).numpy()
    np.testing.assert_allclose(features.mean(axis=(1, 2, 3)), 0, atol=1e-4)
    np.testing.assert_allclose(features.var(axis=(1, 2, 3)), 1, rtol=0.05)


def test_features_do_not_depend_on_the_contrast_of_the_image():
    # Group normalisation after every convolution; its epsilon is 0.001.
    backbone, images = tiny(), some_images(32, 32)
    features = backbone(100 * images)
    np.testing.assert_allclose(backbone(200 * images), features, rtol=0.01, atol=0.01)


@pytest.mark.parametrize("frozen_blocks", [0, 1, 3])
def test_the_first_stages_are_frozen(frozen_blocks):
    backbone = tiny(frozen_blocks)
    in_stages = [
        layer
        for layer in backbone.layers
        if layer.weights and layer.name.startswith("stage")
    ]
    assert {layer.name[5] for layer in in_stages} == {"1", "2", "3", "4"}
    for layer in in_stages:
        is_free = int(layer.name[5]) > frozen_blocks
        assert len(layer.trainable_weights) == is_free * len(layer.weights), layer.name


@pytest.mark.parametrize("stage", [2, 3, 4])
def test_the_second_convolution_of_a_stage_is_added_to_its_input(stage):
    names = [f"stage{stage}_{part}" for part in ("add", "down_relu", "conv_relu")]
    total, kept, residual = up_to(tiny(), *names)(some_images(32, 32))
    assert np.any(kept) and np.any(residual)
    np.testing.assert_allclose(total, kept + residual, rtol=1e-6)
