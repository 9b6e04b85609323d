"""Fixtures that all tests share."""

import functools
import os
from pathlib import Path

import hypothesis
import numpy as np
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# The first example of a compiled function takes seconds, and the tests shall find
# today what they found yesterday.
hypothesis.settings.register_profile(
    "tf_frcnn", deadline=None, derandomize=True, max_examples=60
)
hypothesis.settings.load_profile("tf_frcnn")


@pytest.fixture(scope="session")
def golden():
    """Loads the arrays of `tests/golden/<name>.npz` as a dict."""
    folder = Path(__file__).parent / "golden"

    @functools.cache
    def load(name):
        with np.load(folder / f"{name}.npz", allow_pickle=False) as arrays:
            return dict(arrays)

    return load


@pytest.fixture(scope="session", params=["eager", "graph", "xla"])
def in_mode(request):
    """Runs a function in the three modes: a test that uses it runs three times.

    `in_mode(function)` takes tensors or arrays by position and settings by keyword, and
    returns NumPy arrays. Positional arguments are inputs of the graph, so no rule can
    hide in a folded constant.
    """

    def wrap(function):
        import tensorflow as tf

        run = function
        if request.param != "eager":
            run = tf.function(
                function, autograph=False, jit_compile=request.param == "xla"
            )

        def call(*tensors, **settings):
            results = run(*map(tf.convert_to_tensor, tensors), **settings)
            return tf.nest.map_structure(lambda result: result.numpy(), results)

        return call

    return functools.cache(wrap)
