"""Fixtures that the tests of several layers share."""

import pytest


@pytest.fixture
def layer_in():
    """Gives a layer as it runs in a mode: `layer_in(mode, layer)`.

    The modes are those of `run_in`. Unlike there, inputs may be NamedTuples of arrays.
    """

    def wrap(mode, layer):
        import tensorflow as tf

        if mode == "eager":
            return layer
        return tf.function(layer, autograph=False, jit_compile=mode == "xla")

    return wrap
