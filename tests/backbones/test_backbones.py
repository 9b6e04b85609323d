import numpy as np
import pytest

from tf_frcnn.backbones import BACKBONES
from tf_frcnn.layers import Preprocessing

# The others are other sizes of these; their own tests see to them.
NAMES = [
    *("mobilenet_v1_c4", "mobilenet_v3_large_fpn", "resnet50_c4"),
    *("resnet50_c4_bubbliiiing", "resnet50_fpn", "resnet50_fpn_v2", "teaching_fpn"),
    *("tiny", "vgg16", "vgg16_floor", "vgg16_fpn", "zf"),
]


@pytest.fixture(scope="module", params=NAMES)
def backbone(request):
    return BACKBONES[request.param]


@pytest.fixture(scope="module")
def network(backbone):
    return backbone.build(backbone.num_blocks - 1, "frozen_batch")


def test_the_strides_are_those_of_the_features(backbone, network):
    assert len(backbone.strides) == len(network.outputs)
    assert backbone is BACKBONES[network.name]
    coarsest = backbone.strides[-1]
    smaller, larger = (
        network.compute_output_shape((1, rows * coarsest, columns * coarsest, 3))
        for rows, columns in [(7, 5), (8, 7)]
    )
    if len(backbone.strides) == 1:
        smaller, larger = [smaller], [larger]
    for stride, before, after in zip(backbone.strides, smaller, larger, strict=True):
        # The differences, because caffe's pooling adds a row and a column.
        assert (after[1] - before[1]) * stride == coarsest
        assert (after[2] - before[2]) * stride == 2 * coarsest


@pytest.mark.slow
def test_all_blocks_can_be_frozen_and_no_more_are_named(backbone, network):
    def is_free(layer):
        return bool(layer.trainable_weights) and not layer.name.startswith("fpn_")

    assert any(map(is_free, network.layers))
    all_frozen = backbone.build(backbone.num_blocks, "frozen_batch")
    assert not any(map(is_free, all_frozen.layers))


@pytest.mark.parametrize("name", ["mobilenet_v1_c4", "resnet50_c4"])
def test_with_group_normalisation_backbone_and_tail_learn_in_all_layers(name):
    backbone = BACKBONES[name]
    for part in (backbone.build(0, "group"), backbone.build_tail("group")):
        assert len(part.trainable_weights) == len(part.weights)
        assert not any(layer.name.endswith("_bn") for layer in part.layers)


def test_a_tail_takes_what_the_backbone_gives(backbone, network):
    if backbone.build_tail is None:
        return
    tail = backbone.build_tail("frozen_batch")
    assert tail.input_shape[-1] == network.output_shape[-1]


def test_rois_are_pooled_from_maps_that_there_are(backbone):
    assert 1 <= backbone.num_roi_levels <= len(backbone.strides)


def test_the_image_mode_is_one_that_the_normalization_knows(backbone):
    layer = Preprocessing({"mode": backbone.image_mode})
    white = np.full([1, 1, 1, 3], 255, np.float32)
    assert np.all(layer(white, np.float32([[1, 1]])) > 0)
