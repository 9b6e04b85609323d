"""Files of every kind with bytes that were changed, lost, or added."""

import warnings

import h5py
import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.torch_files import dictionary, tensor, write_legacy, write_state_dict
from tf_frcnn.checkpoints import CheckpointError
from tf_frcnn.checkpoints.files import read_checkpoint

ARRAYS = {
    "conv.weight": np.arange(108, dtype=np.float32).reshape(3, 4, 3, 3),
    "conv.bias": np.float32([1, 2, 3]),
}
TIMES = 50


def zip_file(path):
    return write_state_dict(path, ARRAYS)


def legacy_file(path):
    pickled = dictionary(conv=tensor(), more=tensor(None, 1, (2,), (1,)))
    return write_legacy(path, pickled, {"0": (4, np.float32([1, 2, 3, 4]).tobytes())})


def keras_file(path):
    with h5py.File(path, "w") as file:
        for name, array in ARRAYS.items():
            file[f"{name}/kernel"] = array
    return path


def safetensors_file(path):
    numpy = pytest.importorskip("safetensors.numpy", reason="needs safetensors")
    numpy.save_file(ARRAYS, path)
    return path


def tensorflow_files(path):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        variables = [
            tf.compat.v1.get_variable(name.replace(".", "/"), initializer=array)
            for name, array in ARRAYS.items()
        ]
        session.run([variable.initializer for variable in variables])
        saver = tf.compat.v1.train.Saver(variables)
        saver.save(session, str(path), write_meta_graph=False)
    return path.with_name(f"{path.name}.index")


KINDS = {
    "weights.pth": zip_file,
    "old.pth": legacy_file,
    "weights.h5": keras_file,
    "weights.safetensors": safetensors_file,
    "model.ckpt": tensorflow_files,
}


def changed(content, rng):
    """Returns bytes that are cut, or of which some are others or lie elsewhere."""
    content = bytearray(content)
    start = int(rng.integers(len(content)))
    way = rng.integers(4)
    if way == 0:
        del content[start:]
    elif way == 1:
        del content[start : start + int(rng.integers(1, 9))]
    else:
        places = rng.integers(len(content), size=1 if way == 2 else 20)
        for place in places:
            content[place] ^= int(rng.integers(1, 256))
    return bytes(content)


@pytest.mark.parametrize("name", KINDS)
def test_a_damaged_file_is_read_or_named_in_one_line(name, tmp_path, usual_room):
    path = KINDS[name](tmp_path / name)
    whole, rng = path.read_bytes(), np.random.default_rng(len(name))
    assert read_checkpoint(path).arrays
    refused = 0
    for _ in range(TIMES):
        path.write_bytes(changed(whole, rng))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of NumPy, for numbers that are none
            try:
                arrays = read_checkpoint(path).arrays
            except CheckpointError as error:
                refused += 1
                (line,) = str(error).splitlines()
                assert line.startswith(f"{path}: ")
            else:
                assert all(array.size < 10_000 for array in arrays.values())
    # Where only a number is another one, nobody can know.
    assert refused > TIMES // 3
