"""A small configuration that the tests of assembly vary."""

import pytest

from tf_frcnn.config import load_config

SMALL = """
base: null
data: {reader: shapes, train_split: train, validation_split: validation, num_train: 4,
  num_validation: 3, num_test: 2}
images: {short_side: 64, long_side: 96}
backbone: {name: tiny, weights: random, frozen_blocks: 0}
rpn: {channels: 8}
roi: {head_units: 8}
"""


@pytest.fixture(scope="module")
def config_of(tmp_path_factory):
    """Makes a small configuration in which some settings are replaced."""
    path = tmp_path_factory.mktemp("configs") / "small.yaml"
    path.write_text(SMALL)

    def make(settings=()):
        return load_config(path, [f"{name}={v}" for name, v in dict(settings).items()])

    return make
