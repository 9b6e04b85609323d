import keras
import numpy as np
import pytest

from tf_frcnn.backbones.pretrained import weighted_layers
from tf_frcnn.backbones.regnet import teaching_fpn


@pytest.fixture(scope="module")
def backbone():
    return teaching_fpn(2)


def test_its_maps_have_64_channels_at_strides_8_16_and_32(backbone):
    shapes = backbone.compute_output_shape((1, 224, 300, 3))
    sides = [(28, 38), (14, 19), (7, 10)]
    assert [tuple(shape) for shape in shapes] == [(1, *side, 64) for side in sides]


def test_below_the_pyramid_it_has_the_weights_of_torchvision(backbone):
    layers = [n for n in weighted_layers(backbone.layers) if "fpn" not in n.name]
    learned = [w for n in layers for w in n.weights if "moving" not in w.name]
    # regnet_x_400mf without its classifier: 5_495_976 - 401_000.
    assert sum(w.shape.num_elements() for w in learned) == 5_094_976
    assert backbone.get_layer("stage4_block12_2_conv").kernel.shape == (3, 3, 16, 400)


def test_the_stride_is_in_the_first_3x3_convolution_of_each_stage(backbone):
    strides = {
        layer.name
        for layer in backbone.layers
        if getattr(layer, "strides", (1,))[0] == 2
    }
    stages = [f"stage{number}_block1" for number in (1, 2, 3, 4)]
    expected = {f"{stage}_{part}_conv" for stage in stages for part in (0, 2)}
    assert strides == {"stem_conv", *expected}


@pytest.mark.parametrize("frozen_blocks", [2, 5])
def test_the_first_blocks_are_frozen_and_the_pyramid_never(frozen_blocks):
    backbone = teaching_fpn(frozen_blocks, "group")
    blocks = {"stem": 1, "stage1": 2, "stage2": 3, "stage3": 4, "stage4": 5}
    for layer in weighted_layers(backbone.layers):
        is_free = blocks.get(layer.name.split("_")[0], 6) > frozen_blocks
        assert bool(layer.trainable_weights) == is_free, layer.name


@pytest.mark.slow
def test_a_saved_backbone_gives_the_same_features(backbone, tmp_path, some_images):
    backbone.save(tmp_path / "backbone.keras")
    copy = keras.models.load_model(tmp_path / "backbone.keras")
    images = some_images(70, 65)
    for features, again in zip(backbone(images), copy(images), strict=True):
        assert np.any(features)
        np.testing.assert_array_equal(features, again)
    frozen = [layer.trainable for layer in backbone.layers]
    assert [layer.trainable for layer in copy.layers] == frozen
