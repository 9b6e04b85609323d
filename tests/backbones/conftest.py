"""Fixtures that the tests of several backbones share."""

import numpy as np
import pytest


@pytest.fixture(scope="session")
def some_images():
    """Returns two random images, float32 [2, height, width, 3]."""

    def draw(height, width):
        rng = np.random.default_rng(0)
        return rng.uniform(-1, 1, (2, height, width, 3)).astype(np.float32)

    return draw


@pytest.fixture(scope="session")
def randomize(some_images):
    """Gives a network's normalisations random scales, and statistics that fit them.

    So every cell of the features differs from the next.
    """

    def set_values(network):
        import keras

        rng = np.random.default_rng(0)
        norms = [
            layer
            for layer in network.layers
            if isinstance(layer, keras.layers.BatchNormalization)
        ]
        for norm in norms:
            norm.gamma.assign(rng.uniform(0.5, 1.5, norm.gamma.shape))
            norm.beta.assign(rng.normal(0.0, 0.5, norm.beta.shape))
            norm.momentum = 0.0
        network(some_images(128, 128), training=True)

    return set_values
