"""Fixtures that all tests share."""

import functools
import os

import hypothesis
import numpy as np
import pytest

from tests.helpers.paths import GOLDEN

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# The first example of a compiled function takes seconds, and the tests shall find
# today what they found yesterday.
hypothesis.settings.register_profile(
    "tf_frcnn", deadline=None, derandomize=True, max_examples=40
)
hypothesis.settings.load_profile("tf_frcnn")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Keeps what is found in data sets out of the home of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TF_FRCNN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def repeatable_operations():
    """Lets TensorFlow add gradients of cropping in one thread.

    Several threads of its kernel for the CPU lose what they add to one cell at once.
    """
    import tensorflow as tf
    from tensorflow.python.framework import config

    tf.config.experimental.enable_op_determinism()
    yield
    config.disable_op_determinism()


@pytest.fixture(scope="session")
def golden():
    """Loads the arrays of `tests/golden/<name>.npz` as a dict."""
    folder = GOLDEN

    @functools.cache
    def load(name):
        with np.load(folder / f"{name}.npz", allow_pickle=False) as arrays:
            return dict(arrays)

    return load


@pytest.fixture(scope="session")
def run_in():
    """Gives a function as it runs in a mode: `run_in(mode, function)`.

    The modes are "eager", "graph" (`tf.function`) and "xla" (`jit_compile=True`). The
    result takes tensors or arrays by position and settings by keyword, and returns
    NumPy arrays. What comes by position is an input of the graph, so that no rule hides
    in a folded constant.
    """

    @functools.cache
    def wrap(mode, function):
        import tensorflow as tf

        run = function
        if mode != "eager":
            run = tf.function(function, autograph=False, jit_compile=mode == "xla")

        def call(*tensors, **settings):
            results = run(*map(tf.convert_to_tensor, tensors), **settings)
            return tf.nest.map_structure(lambda result: result.numpy(), results)

        return call

    return wrap


@pytest.fixture(scope="session", params=["eager", "graph", "xla"])
def in_mode(request, run_in):
    """Is `run_in` with the mode chosen: a test that uses it runs once in each mode."""
    return functools.partial(run_in, request.param)


@pytest.fixture(scope="session")
def tiny_detector():
    """Builds small detectors of the classes "wide" and "tall" with seeded weights."""

    def build(
        *,
        frozen_blocks=0,
        score_form="softmax",
        score_threshold=0.05,
        plus_one=False,
        model_type=None,
        **settings,
    ):
        import keras

        from tf_frcnn.models.faster_rcnn import FasterRCNN, Parts

        keras.utils.set_random_seed(0)
        parts = _tiny_parts(frozen_blocks, score_form, score_threshold, plus_one)
        model_type = model_type or FasterRCNN
        if model_type.parts_type is not Parts:
            parts = parts.of_rpn
        model = model_type(parts, ("wide", "tall"), plus_one=plus_one, **settings)
        model.build()
        return model

    return build


def _tiny_parts(frozen_blocks, score_form, score_threshold, plus_one):
    from tf_frcnn import layers
    from tf_frcnn.backbones import BACKBONES
    from tf_frcnn.models.faster_rcnn import Parts

    backbone = BACKBONES["tiny"]
    return Parts(
        normalization=layers.ImageNormalization(backbone.image_mode),
        backbone=backbone.build(frozen_blocks),
        anchor_grid=layers.AnchorGrid(backbone.strides, scales=(2, 3, 5)),
        rpn_head=layers.RPNHead(9, channels=32, score_form=score_form),
        anchor_targets=layers.AnchorTargetLayer(plus_one=plus_one),
        proposal_layer=layers.ProposalLayer(
            train_counts=(200, 60), test_counts=(100, 40), plus_one=plus_one
        ),
        proposal_targets=layers.ProposalTargetLayer(num_samples=32, plus_one=plus_one),
        roi_pooling=layers.RoIPooling(backbone.strides),
        box_head=layers.FullyConnectedHead(64, dropout=0.0),
        box_predictor=layers.BoxPredictor(2),
        detection_layer=layers.DetectionLayer(
            score_threshold=score_threshold, max_per_image=20, plus_one=plus_one
        ),
    )
