"""Fixtures that all tests share."""

import functools
import gc
import os
import sys

import hypothesis
import pytest

from tests.helpers.behind_markers import BehindMarkers, mark_by_names
from tests.helpers.golden import GoldenFile
from tests.helpers.golden_table import GoldenTable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# What XLA compiles runs once or twice here, and need not be fast.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

# The first example of a compiled function takes seconds, and the tests shall find
# today what they found yesterday.
hypothesis.settings.register_profile(
    "tf_frcnn", deadline=None, derandomize=True, max_examples=40
)
hypothesis.settings.load_profile("tf_frcnn")


def pytest_addoption(parser):
    parser.addoption(
        "--golden-table",
        action="store_true",
        help="run the tests that read golden files, write docs/references.md's table",
    )


def pytest_configure(config):
    config.pluginmanager.register(BehindMarkers())
    if config.getoption("golden_table"):
        config.pluginmanager.register(GoldenTable())


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    mark_by_names(items)
    # The files that take longest come first, so that no process is left alone with one
    # at the end: those of the whole package, and those that start many programs.
    first = {
        *("test_alternating.py", "test_data_model.py", "test_keras_ways.py"),
        *("test_one_result.py", "test_survival.py", "test_workers.py"),
    }
    items.sort(
        key=lambda item: (
            item.path.parent != config.rootpath / "tests"
            and item.path.name not in first
        )
    )


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Spares the garbage collector all that is imported, which is never garbage."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Has TensorFlow optimise no graph of a slow test, which takes more than it saves.

    The graphs of all others, most of them of one operation or layer, are as users' are.
    """
    if tf := sys.modules.get("tensorflow"):
        is_slow = item.get_closest_marker("slow") is not None
        options = {"disable_meta_optimizer": is_slow}
        tf.config.optimizer.set_experimental_options(options)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Keeps what is found in data sets out of the home of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TF_FRCNN_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def golden(request):
    """Loads `tests/golden/<name>.npz` as a `GoldenFile`."""
    return lambda name: GoldenFile(name, request.node.user_properties)


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
    """Gives `run_in` in one mode: a test that uses it runs once in each mode."""
    return functools.partial(run_in, request.param)


@pytest.fixture
def unexported(monkeypatch):
    """Has the command `train` write no export, which takes as long as a training."""
    monkeypatch.setattr("tf_frcnn.commands.train.export_run", lambda run, to: to)


@pytest.fixture(scope="module")
def eager_steps():
    """Has models trace no step: the few that a test needs take less time than that."""
    import keras

    always = property(lambda model: True, lambda model, value: None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.Model, "run_eagerly", always)
        yield


@pytest.fixture
def deterministic():
    """Has TensorFlow refuse operations that are not deterministic."""
    # TensorFlow has no public way back.
    from tensorflow.python.framework import config

    config.enable_op_determinism()
    yield
    config.disable_op_determinism()


@pytest.fixture(scope="session")
def tiny_detector():
    """Builds small detectors of the classes "wide" and "tall" with seeded weights."""

    def build(
        *,
        frozen_blocks=0,
        model_type=None,
        conventions="plain",
        seed=0,
        weight_decay=0.0005,
        bias_rate=1.0,
        **settings,
    ):
        import keras

        from tf_frcnn import models

        keras.utils.set_random_seed(0)
        model_type = model_type or models.FasterRCNN
        model = model_type(
            **_tiny_parts(model_type, frozen_blocks, conventions, settings),
            class_names=("wide", "tall"),
            weight_decay=weight_decay,
            bias_rate=bias_rate,
            seed=seed,
        )
        model.build()
        return model

    return build


def _tiny_parts(model_type, frozen_blocks, conventions, settings):
    """Makes the parts; `settings` are section -> setting -> value."""
    from tf_frcnn import layers, models
    from tf_frcnn.backbones import BACKBONES

    def of(section, **defaults):
        return defaults | settings.get(section, {})

    backbone, shared = (
        BACKBONES["tiny"],
        {"loss": of("loss"), "conventions": conventions},
    )
    counts = {"train_pre_nms": 200, "train_post_nms": 60}
    counts |= {"test_pre_nms": 100, "test_post_nms": 40}
    roi = of("roi", num_samples=32, head_units=64, dropout=0.0)
    parts = {
        "preprocessing": layers.Preprocessing({"mode": backbone.image_mode}),
        "backbone": backbone.build(frozen_blocks),
    }
    if model_type is not models.FastRCNN:
        parts["rpn"] = models.RegionProposalNetwork(
            backbone.strides,
            anchors=of("anchors", scales=(2, 3, 5)),
            rpn=of("rpn", channels=32),
            proposals=of("proposals", **counts),
            **shared,
        )
    if model_type is not models.ProposalNetwork:
        head = models.CascadeHead if roi.get("cascade_ious") else models.RoIHead
        parts["roi_head"] = head(
            2,
            layers.FullyConnectedHead(roi),
            backbone.strides,
            num_proposals=60,
            roi=roi,
            detections=of("detections", max_per_image=20),
            **shared,
        )
    return parts
