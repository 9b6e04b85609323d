import importlib

import pytest

import tf_frcnn

# The public interface; whatever joins or leaves it belongs into the change log.
PUBLIC = {
    "ConfigError",
    "DataError",
    "DownloadError",
    "FasterRCNN",
    "ImageError",
    "__version__",
    "callbacks",
    "draw",
    "evaluate",
    "load",
    "read_data",
}
METHODS = {"from_preset", "presets", "save_to_preset", "export", "detect"}
METHODS |= {"fit", "evaluate", "predict", "compile", "save"}


def test_the_public_names_are_these():
    assert {*tf_frcnn.__all__} == PUBLIC
    assert {*dir(tf_frcnn)} >= PUBLIC
    for name in PUBLIC:
        assert getattr(tf_frcnn, name) is not None


def test_a_detector_has_the_public_methods_and_each_is_described():
    for name in METHODS:
        assert getattr(tf_frcnn.FasterRCNN, name).__doc__


def test_the_callbacks_are_public_as_a_module():
    assert tf_frcnn.callbacks is importlib.import_module("tf_frcnn.callbacks")
    assert tf_frcnn.callbacks.MeanAveragePrecision.adds_to_logs


def test_other_names_are_refused():
    with pytest.raises(AttributeError, match="'tf_frcnn' has no attribute 'FasterRNN'"):
        tf_frcnn.FasterRNN  # noqa: B018


def test_type_information_comes_with_the_package():
    assert (importlib.resources.files("tf_frcnn") / "py.typed").is_file()
