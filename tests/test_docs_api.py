"""The names in docs/api.md, and the messages in docs/faq.md."""

import ast
import importlib
import inspect
import os
import re
import subprocess
import sys

import keras
import pytest

import tf_frcnn
from tests.helpers.paths import ROOT

API = (ROOT / "docs" / "api.md").read_text()
FAQ = (ROOT / "docs" / "faq.md").read_text()
NAMES = re.findall(r"^::: (.*)", API, re.MULTILINE)
MESSAGES = re.findall(r"^### `(.*)`$", FAQ, re.MULTILINE)
# Messages of others; tests of their own bring them about.
ONE_DNN = "oneDNN custom operations are on"
NO_CLASS = "Could not locate class"
LEVEL = "TF_CPP_MIN_LOG_LEVEL"
NO_METRIC = "Early stopping conditioned on metric ... which is not available"


def public_names():
    """Yields what `__all__` stands for: the classes of a module in its stead."""
    for name in tf_frcnn.__all__:
        value = getattr(tf_frcnn, name)
        if inspect.ismodule(value):
            for own, part in vars(value).items():
                if getattr(part, "__module__", "") == value.__name__:
                    yield f"tf_frcnn.{name}.{own}"
        elif not isinstance(value, str):
            yield f"tf_frcnn.{name}"


def test_the_reference_has_every_public_name():
    assert {*public_names()} <= {*NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_the_reference_exists_and_has_a_docstring(name):
    module, _, attribute = name.rpartition(".")
    assert getattr(importlib.import_module(module), attribute).__doc__


def test_the_reference_has_every_method_that_users_call():
    members = set(re.findall(r"^        - (\w+)", API, re.MULTILINE))
    for kind in tf_frcnn.FasterRCNN.__mro__:
        if kind.__name__ in ("EntryPoints", "DataModel"):
            own = {n for n, v in vars(kind).items() if inspect.isroutine(v)}
            own |= {n for n, v in vars(kind).items() if isinstance(v, classmethod)}
            assert {name for name in own if not name.startswith("_")} <= members
    assert all(hasattr(tf_frcnn.FasterRCNN, name) for name in members)


def texts_in(path):
    """Returns each text in a file of Python, a line break where a value is put in."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    texts = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            texts.append(node.value)
        elif isinstance(node, ast.JoinedStr):
            parts = [getattr(part, "value", None) for part in node.values]
            texts.append("".join(p if isinstance(p, str) else "\n" for p in parts))
    return texts


def says(message, texts):
    """Returns whether one of the texts has a message, "..." being anything."""
    parts = [re.escape(part) for part in message.split("...")]
    pattern = re.compile(r".*?".join(parts), re.DOTALL)
    return any(pattern.search(text) for text in texts)


def test_a_message_is_found_with_its_gaps(tmp_path):
    file = tmp_path / "code.py"
    file.write_text(
        'raise ValueError(f"{path} has {n} " "images, {x}")\nprint(f"a{b}")'
    )
    texts = texts_in(file)
    assert says("has ... images", texts) and says("images, {x}", texts)
    assert not says("has images", texts) and not says("images a", texts)


@pytest.fixture(scope="module")
def texts():
    files = (ROOT / "tf_frcnn").rglob("*.py")
    return [text for file in files for text in texts_in(file)]


@pytest.mark.parametrize(
    "message", sorted({*MESSAGES} - {ONE_DNN, NO_CLASS, NO_METRIC})
)
def test_a_message_of_the_faq_is_in_the_code(message, texts):
    assert says(message, texts)


def test_keras_says_that_it_does_not_know_a_class():
    unknown = {"class_name": "Unknown", "config": {}, "module": None}
    with pytest.raises(TypeError) as caught:
        keras.saving.deserialize_keras_object(
            unknown | {"registered_name": "x>Unknown"}
        )
    assert NO_CLASS in MESSAGES and says(NO_CLASS, [str(caught.value)])


def test_keras_warns_of_a_metric_that_is_not_in_the_logs():
    stop = keras.callbacks.EarlyStopping("val_mAP", mode="max")
    stop.set_model(keras.Sequential())
    with pytest.warns(UserWarning) as caught:
        stop.on_epoch_end(0, {"loss": 1.0})
    assert NO_METRIC in MESSAGES and says(NO_METRIC, [str(caught[0].message)])


@pytest.mark.slow
def test_tensorflow_writes_its_notes_where_keras_is_imported_first():
    def notes_of(program):
        environment = {n: v for n, v in os.environ.items() if n != LEVEL}
        # By itself TensorFlow takes oneDNN on some processors only.
        environment["TF_ENABLE_ONEDNN_OPTS"] = "1"
        command = [sys.executable, "-c", program]
        return subprocess.run(
            command, capture_output=True, text=True, env=environment, check=True
        ).stderr

    assert ONE_DNN in MESSAGES and ONE_DNN in notes_of("import keras, tf_frcnn")
    assert ONE_DNN not in notes_of("import tf_frcnn, keras")


def test_every_heading_of_the_faq_is_a_message():
    headings = re.findall(r"^### (.*)$", FAQ, re.MULTILINE)
    assert len(headings) > 40
    assert all(re.fullmatch(r"`.*`", heading) for heading in headings)
