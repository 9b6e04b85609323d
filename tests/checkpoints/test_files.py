import hashlib
import os
import sys

import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.checkpoints.files import CheckpointError, listed, read_checkpoint

ARRAYS = {
    "conv.weight": np.arange(12, dtype=np.float32).reshape(3, 1, 2, 2),
    "conv.bias": np.float32([1, 2, 3]),
}


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="PyTorch writes its files")


@pytest.fixture
def state_dict(torch):
    return {name: torch.tensor(array) for name, array in ARRAYS.items()}


def assert_arrays(checkpoint):
    assert set(checkpoint.arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(checkpoint.arrays[name], array)
        assert checkpoint.arrays[name].dtype == np.float32


@pytest.mark.parametrize("is_archive", [True, False])
@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin", ".pkl", "", "_0.70"])
def test_a_state_dict(torch, state_dict, tmp_path, suffix, is_archive):
    path = tmp_path / f"weights{suffix}"
    torch.save(state_dict, path, _use_new_zipfile_serialization=is_archive)
    checkpoint = read_checkpoint(path)
    assert_arrays(checkpoint)
    assert checkpoint.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert checkpoint.path == path and checkpoint.settings == {}


@pytest.mark.parametrize("wrapper", ["model", "state_dict", "model_state_dict", "net"])
def test_a_wrapped_state_dict_gives_its_settings(torch, state_dict, tmp_path, wrapper):
    path = tmp_path / "weights.pth"
    torch.save({wrapper: state_dict, "config": {"caffe": True}, "epoch": 3}, path)
    checkpoint = read_checkpoint(path)
    assert_arrays(checkpoint)
    assert checkpoint.settings == {"config": {"caffe": True}, "epoch": 3}


def test_names_of_a_parallel_model_lose_their_prefix(torch, state_dict, tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({f"module.{name}": value for name, value in state_dict.items()}, path)
    assert_arrays(read_checkpoint(path))


def test_half_precision_becomes_float32(torch, state_dict, tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({n: value.bfloat16() for n, value in state_dict.items()}, path)
    assert_arrays(read_checkpoint(path))


def test_a_file_that_wants_to_run_code_is_refused(torch, tmp_path):
    path, witness = tmp_path / "weights.pth", tmp_path / "witness"

    class Code:
        def __reduce__(self):
            return os.mkdir, (str(witness),)

    torch.save({"conv.weight": torch.zeros(1), "more": Code()}, path)
    with pytest.raises(CheckpointError, match=r"weights\.pth: .*wants to run code"):
        read_checkpoint(path)
    assert not witness.exists()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04broken"])
def test_a_damaged_file_of_pytorch_is_named(torch, tmp_path, content):
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"weights\.pth: "):
        read_checkpoint(path)


def test_a_cut_file_of_pytorch_is_named(torch, state_dict, tmp_path):
    path = tmp_path / "weights.pth"
    torch.save(state_dict, path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(CheckpointError, match=r"weights\.pth: "):
        read_checkpoint(path)


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {"model": {"lr": 0.1}}])
def test_a_file_without_a_state_dict_is_named(torch, tmp_path, content):
    path = tmp_path / "weights.pth"
    torch.save(content, path)
    with pytest.raises(CheckpointError, match=r"weights\.pth: no state dict"):
        read_checkpoint(path)


def test_an_empty_file_of_weights_is_named(torch, tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({}, path)
    with pytest.raises(CheckpointError, match=r"no (state dict|weights)"):
        read_checkpoint(path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_weight_that_is_not_finite_is_named(torch, state_dict, tmp_path, value):
    path = tmp_path / "weights.pth"
    state_dict["conv.bias"][1] = value
    torch.save(state_dict, path)
    with pytest.raises(CheckpointError, match=r"weights\.pth: conv\.bias .*not finite"):
        read_checkpoint(path)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_safetensors(tmp_path, dtype):
    numpy = pytest.importorskip("safetensors.numpy", reason="needs safetensors")
    path = tmp_path / "weights.safetensors"
    numpy.save_file({n: array.astype(dtype) for n, array in ARRAYS.items()}, path)
    assert_arrays(read_checkpoint(path))


def test_a_damaged_safetensors_file_is_named(tmp_path):
    pytest.importorskip("safetensors", reason="needs safetensors")
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"\xff" * 40)
    with pytest.raises(CheckpointError, match=r"weights\.safetensors: not a readable"):
        read_checkpoint(path)


@pytest.fixture
def tensorflow_prefix(tmp_path):
    prefix = str(tmp_path / "model.ckpt-7")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        variables = [
            tf.compat.v1.get_variable(name.replace(".", "/"), initializer=array)
            for name, array in ARRAYS.items()
        ]
        session.run([variable.initializer for variable in variables])
        tf.compat.v1.train.Saver(variables).save(session, prefix)
    return prefix


@pytest.mark.parametrize("ending", ["", ".index", ".meta", ".data-00000-of-00001"])
def test_a_tensorflow_checkpoint_by_any_of_its_names(tensorflow_prefix, ending):
    arrays = read_checkpoint(tensorflow_prefix + ending).arrays
    assert set(arrays) == {"conv/weight", "conv/bias"}
    np.testing.assert_array_equal(arrays["conv/weight"], ARRAYS["conv.weight"])


def test_a_folder_of_tensorflow_gives_its_newest_checkpoint(
    tensorflow_prefix, tmp_path
):
    assert set(read_checkpoint(tmp_path).arrays) == {"conv/weight", "conv/bias"}


def test_a_damaged_tensorflow_checkpoint_is_named(tmp_path):
    path = tmp_path / "model.ckpt"
    path.write_bytes(b"nothing of TensorFlow")
    with pytest.raises(CheckpointError, match=r"model\.ckpt: not a readable"):
        read_checkpoint(path)


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors", "a.ckpt"])
def test_a_missing_file_is_named(tmp_path, name):
    with pytest.raises(FileNotFoundError, match=f"{name}: no such file"):
        read_checkpoint(tmp_path / name)


def test_a_folder_without_a_checkpoint_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no file `checkpoint`"):
        read_checkpoint(tmp_path)


def test_a_reader_that_is_not_installed_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"anything")
    with pytest.raises(ImportError, match=r'a\.safetensors: .*pip install "tf-frcnn\['):
        read_checkpoint(path)


def test_of_many_names_the_first_are_listed():
    assert listed("abc") == "a, b, c"
    assert listed(map(str, range(10))) == "0, 1, 2, 3, 4, 5, 6, 7 and 2 more"
