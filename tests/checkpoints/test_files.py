import argparse
import datetime
import hashlib
import os
import sys
from pathlib import Path

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


@pytest.mark.parametrize("wrapper", ["model", "state_dict", "net", "model_ema"])
def test_a_wrapped_state_dict_gives_its_settings(torch, state_dict, tmp_path, wrapper):
    path = tmp_path / "weights.pth"
    torch.save({wrapper: state_dict, "config": {"caffe": True}, "epoch": 3}, path)
    checkpoint = read_checkpoint(path)
    assert_arrays(checkpoint)
    assert checkpoint.settings == {"config": {"caffe": True}, "epoch": 3}


@pytest.mark.slow
def test_the_checkpoint_of_a_training_program(torch, tmp_path):
    """As torchvision's references write it, with an averaged model."""
    network = torch.nn.Sequential(torch.nn.Linear(3, 2))
    averaged = torch.optim.swa_utils.AveragedModel(network)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.02, momentum=0.9)
    network(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [16, 22])
    content = {
        "optimizer": optimizer.state_dict(),
        "lr_scheduler": scheduler.state_dict(),
        "scaler": torch.amp.GradScaler("cpu").state_dict(),
        "args": argparse.Namespace(data=Path("coco"), device=torch.device("cpu")),
        "epoch": 25,
        "figures": {"map": np.float64(0.37), "by_class": np.arange(3.0)},
        "saved": datetime.datetime(2026, 11, 26),
    }
    own = {"model": network.state_dict(), "model_ema": averaged.state_dict()}
    expected = network.state_dict()["0.weight"].numpy()
    for names in (["model"], ["model", "model_ema"], ["model_ema"]):
        path = tmp_path / "model_25.pth"
        torch.save(content | {name: own[name] for name in names}, path)
        checkpoint = read_checkpoint(path)
        assert checkpoint.arrays.keys() == {"0.weight", "0.bias"}
        assert checkpoint.settings["args"] == {"data": "coco", "device": "cpu"}
        kept = own["model_ema"]["module.0.weight"].numpy()
        is_own = names != ["model_ema"]
        np.testing.assert_array_equal(
            checkpoint.arrays["0.weight"], expected if is_own else kept
        )


@pytest.mark.parametrize(
    "prefix",
    ["module.", "model.", "_orig_mod.", "module._orig_mod.", "model.module.", "net."],
)
def test_what_stands_before_all_names_is_left_out(torch, state_dict, tmp_path, prefix):
    path = tmp_path / "weights.pth"
    torch.save({f"{prefix}{name}": value for name, value in state_dict.items()}, path)
    assert_arrays(read_checkpoint(path))


def test_a_part_that_was_compiled_has_its_own_names(torch, state_dict, tmp_path):
    path = tmp_path / "weights.pth"
    renamed = {n.replace("conv.", "conv._orig_mod."): v for n, v in state_dict.items()}
    torch.save(renamed, path)
    assert_arrays(read_checkpoint(path))


def test_what_stands_before_some_names_only_stays(torch, state_dict, tmp_path):
    path = tmp_path / "weights.pth"
    torch.save(state_dict | {"model.more": torch.zeros(1)}, path)
    assert read_checkpoint(path).arrays.keys() == {*ARRAYS, "model.more"}


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
    message = r"weights\.pth: .*wants to run code.*asks for \w+\.mkdir.*state_dict\(\)"
    with pytest.raises(CheckpointError, match=message):
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


def test_safetensors_lose_what_stands_before_all_names(tmp_path):
    numpy = pytest.importorskip("safetensors.numpy", reason="needs safetensors")
    path = tmp_path / "weights.safetensors"
    numpy.save_file({f"model.{name}": array for name, array in ARRAYS.items()}, path)
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


def test_a_folder_whose_newest_checkpoint_lies_elsewhere_is_refused(
    tensorflow_prefix, tmp_path
):
    other = tmp_path / "other"
    other.mkdir()
    (other / "checkpoint").write_text(f'model_checkpoint_path: "{tensorflow_prefix}"')
    with pytest.raises(CheckpointError, match=r"names .*ckpt-7, which lies elsewhere"):
        read_checkpoint(other)


def test_a_tensor_that_is_much_larger_than_its_file_is_refused(
    torch, tmp_path, usual_room
):
    """3.8 GB of one number."""
    path = tmp_path / "trap.pth"
    torch.save({"weight": torch.zeros(1).expand(31_000, 31_000)}, path)
    with pytest.raises(CheckpointError, match=r"trap\.pth: .* take 3844000000 bytes"):
        read_checkpoint(path)


def test_a_weight_with_two_names_is_read(torch, state_dict, tmp_path, usual_room):
    path = tmp_path / "tied.pth"
    large = torch.ones(2**20)
    torch.save({"a": large, "b": large, "c": large}, path)
    assert read_checkpoint(path).arrays["c"].shape == (2**20,)


def test_many_halves_of_one_storage_are_refused(torch, tmp_path, usual_room):
    path = tmp_path / "halves.pth"
    large = torch.ones(2**20, dtype=torch.float16)
    torch.save({str(n): large for n in range(100)}, path)
    with pytest.raises(CheckpointError, match=r"halves\.pth: .* bytes of memory"):
        read_checkpoint(path)


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
