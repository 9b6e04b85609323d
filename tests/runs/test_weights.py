import errno
import subprocess
import sys

import keras
import pytest

from tf_frcnn.runs import weights
from tf_frcnn.runs.weights import load_weights, save_weights

# HDF5 keeps small arrays back up to the end, and crashes where it cannot write them.
MANY_LAYERS = """
import resource, sys
from pathlib import Path
import keras
from tf_frcnn.runs.weights import save_weights

layers = [keras.layers.Dense(50) for _ in range(100)]
model = keras.Sequential([keras.Input((50,)), *layers])
limit = int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    save_weights(model, Path(sys.argv[1]))
except OSError as error:
    print(error)
"""


@pytest.mark.slow
def test_where_many_arrays_do_not_fit_there_is_an_error_and_no_crash(tmp_path):
    path = tmp_path / "a.weights.h5"
    command = [sys.executable, "-c", MANY_LAYERS, str(path), "700000"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    expected = f"[Errno {errno.EFBIG}] {path} could not be written: File too large."
    assert done.stdout.startswith(expected) and "Exception ignored" not in done.stderr
    assert not list(tmp_path.iterdir())


def small_model():
    model = keras.Sequential([keras.Input((3,)), *map(keras.layers.Dense, [4] * 30)])
    model.compile(keras.optimizers.Adam())
    model.optimizer.build(model.trainable_variables)
    return model


def test_the_room_that_is_asked_for_is_enough_and_little_more(tmp_path):
    model, path = small_model(), tmp_path / "a.weights.h5"
    save_weights(model, path)
    size = path.stat().st_size
    assert size < weights._most_bytes(model) < size + 1_000_000


@pytest.mark.slow
def test_a_system_that_cannot_reserve_room_is_asked_what_is_free(tmp_path, monkeypatch):
    monkeypatch.delattr(weights.os, "posix_fallocate")
    path = tmp_path / "a.weights.h5"
    save_weights(small_model(), path)
    before = path.read_bytes()
    full = type("Usage", (), {"free": 1000})()
    monkeypatch.setattr(weights.shutil, "disk_usage", lambda _: full)
    with pytest.raises(OSError, match=f"{path} could not be written: No space left"):
        save_weights(small_model(), path)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == before


def test_of_weights_that_do_not_fit_the_first_is_named_with_its_shapes(tmp_path):
    path = tmp_path / "a.weights.h5"
    for units in (2, 4):
        layers = [keras.layers.Dense(units, name="first"), keras.layers.Dense(1)]
        model = keras.Sequential([keras.Input((3,)), *layers])
        if not path.exists():
            save_weights(model, path)
    message = r"first/kernel has the shape \(3, 2\), but \(3, 4\) is needed\)\."
    with pytest.raises(ValueError, match=message):
        load_weights(model, path)
