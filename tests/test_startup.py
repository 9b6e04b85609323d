import os
import subprocess
import sys

import pytest

NOTES = ("oneDNN", "cuda", "AVX", "absl")


def run(code, **environment):
    """Runs a program in a fresh process; returns its output and its errors."""
    known = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=known | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout, done.stderr


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, tf_frcnn, tf_frcnn.version; print(*sys.modules)"
    modules = run(code)[0].split()
    assert "tf_frcnn" in modules
    assert not {"tensorflow", "keras", "numpy", "pydantic", "PIL"} & {*modules}


def test_tensorflow_starts_quietly_and_what_others_write_is_kept():
    code = (
        "import tf_frcnn, tensorflow as tf, sys\n"
        "print(int(tf.constant(7)), tf.__spec__.loader.name)\n"
        "print('a warning of ours', file=sys.stderr)"
    )
    out, errors = run(code)
    assert out.split() == ["7", "tensorflow"]
    assert errors == "a warning of ours\n"


def test_tensorflow_is_as_loud_as_the_environment_says():
    errors = run("import tf_frcnn, tensorflow", TF_CPP_MIN_LOG_LEVEL="0")[1]
    assert any(note in errors for note in NOTES)


@pytest.mark.parametrize(
    ("imports", "environment", "is_kept"),
    [
        ("tf_frcnn, tensorflow", {}, True),
        pytest.param("tensorflow, tf_frcnn", {}, True, marks=pytest.mark.slow),
        ("tf_frcnn, tensorflow", {"MALLOC_ARENA_MAX": "2"}, False),
        ("tf_frcnn", {}, False),
    ],
)
def test_freed_memory_is_kept_unless_the_environment_says_how(
    imports, environment, is_kept
):
    code = (
        f"import {imports}, numpy as np\n"
        "place = np.ones(2**27, np.uint8).ctypes.data\n"
        "lines = [l.split() for l in open('/proc/self/maps') if '[heap]' in l]\n"
        "heap = [[int(end, 16) for end in l[0].split('-')] for l in lines]\n"
        "print(any(first <= place < last for first, last in heap))"
    )
    assert run(code, **environment)[0].split() == [str(is_kept)]


def test_the_garbage_collector_goes_on_without_what_was_imported():
    code = (
        "import gc, tf_frcnn, tensorflow\n"
        "print(gc.isenabled(), gc.get_freeze_count() > len(gc.get_objects()))"
    )
    assert run(code)[0].split() == ["True", "True"]


@pytest.mark.parametrize(
    "order",
    [
        "keras, tf_frcnn",
        "tf_frcnn, keras",
        # TensorFlow looks for Keras before it imports it.
        pytest.param("tf_frcnn, tensorflow, keras", marks=pytest.mark.slow),
        # The models need it, and it imports Keras.
        pytest.param("tf_frcnn.layers, keras", marks=pytest.mark.slow),
    ],
)
def test_keras_knows_the_classes_in_any_order_of_imports(order):
    code = (
        f"import {order}\n"
        "names = keras.saving.get_custom_objects()\n"
        "print([n for n in names if n.endswith('>FasterRCNN')])"
    )
    assert run(code)[0].strip() == "['tf_frcnn>FasterRCNN']"


def test_an_import_that_fails_shows_what_was_held_back(tmp_path):
    (tmp_path / "tensorflow.py").write_text(
        "import os\nos.write(2, b'E0000 a real fault\\n')\nraise ImportError('broken')"
    )
    code = (
        "import tf_frcnn\n"
        "try:\n    import tensorflow\nexcept ImportError as error:\n    print(error)"
    )
    out, errors = run(code, PYTHONPATH=os.pathsep.join([str(tmp_path), *sys.path]))
    assert out == "broken\n" and errors == "E0000 a real fault\n"
