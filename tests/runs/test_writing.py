import errno
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.helpers.paths import ROOT
from tf_frcnn.runs.writing import named_errors, write_image

# With the size that files may have, the system refuses as on a full disk.
SUMMARIES = """
import resource, sys
from pathlib import Path
import keras
import tensorflow as tf
from tf_frcnn.runs.callbacks import RunLog
from tf_frcnn.runs.state import Checkpoint

folder = Path(sys.argv[1])
writer = tf.summary.create_file_writer(str(folder / "tensorboard"))
log = RunLog(folder, writer, Checkpoint(file="a", sha256=""))
log.rate = 0.1
model = keras.Sequential()
model.compile("sgd")
log.set_model(model)
resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))
try:
    log.on_epoch_end(0, {"loss": 1.0} | {f"loss of number {n}": 1.0 for n in range(9)})
except OSError as error:
    print(error)
"""


def test_an_error_of_python_gets_the_name_of_the_file(tmp_path):
    with pytest.raises(OSError) as error, named_errors(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert error.value.errno == errno.ENOSPC
    assert f"{tmp_path} could not be written: No space left" in str(error.value)


def test_an_error_of_tensorflow_is_one_of_python(tmp_path):
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(NotADirectoryError) as error, named_errors(tmp_path):
        tf.io.write_file(str(file / "in it"), "text")
    message = f"{tmp_path} could not be written: Not a directory."
    assert str(error.value).endswith(message)


@pytest.mark.parametrize(
    "error",
    [
        OSError("1 exists"),
        tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor"),
        tf.errors.InvalidArgumentError(None, None, ""),
    ],
)
def test_other_errors_stay(error, tmp_path):
    with pytest.raises(type(error)) as raised, named_errors(tmp_path):
        raise error
    assert raised.value is error


def test_the_ending_decides_on_the_format_of_an_image(tmp_path):
    image = np.full([20, 30, 3], 7, np.uint8)
    for name, kind in (("a.jpg", "JPEG"), ("a.png", "PNG")):
        write_image(tmp_path / name, image)
        with Image.open(tmp_path / name) as written:
            assert (written.format, written.size) == (kind, (30, 20))


@pytest.mark.slow
def test_an_image_is_there_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    image = np.full([2, 3, 3], 7, np.uint8)
    write_image(path, image)
    before = path.read_bytes()

    def full(path, image):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tf_frcnn.runs.writing.write_png", full)
    with pytest.raises(OSError, match=f"{path} could not be written: No space left"):
        write_image(path, image)
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
    assert path.read_bytes() == before


@pytest.mark.slow
def test_summaries_that_cannot_be_written_are_one_error_that_names_them(tmp_path):
    command = [sys.executable, "-c", SUMMARIES, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    expected = f"{tmp_path / 'tensorboard'} could not be written: File too large.\n"
    assert done.stdout == f"[Errno {errno.EFBIG}] {expected}"
