import numpy as np
import pytest

from tf_frcnn.backbones import BACKBONES
from tf_frcnn.layers import ImageNormalization


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_the_stride_is_that_of_the_features(name):
    backbone = BACKBONES[name]
    trunk = backbone.build(0)
    shape = trunk.compute_output_shape((1, 7 * backbone.stride, 5 * backbone.stride, 3))
    assert shape[1:3] == (7, 5)
    assert trunk.name == name


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_all_blocks_can_be_frozen_and_no_more_are_named(name):
    backbone = BACKBONES[name]
    assert backbone.build(backbone.num_blocks).trainable_weights == []
    assert backbone.build(backbone.num_blocks - 1).trainable_weights


@pytest.mark.parametrize("name", sorted(BACKBONES))
def test_the_image_mode_is_one_that_the_normalization_knows(name):
    layer = ImageNormalization(BACKBONES[name].image_mode)
    black = np.zeros([1, 1, 1, 3], np.float32)
    assert np.all(layer(black, np.float32([[1, 1]])) < 0)
