import sys

import numpy as np
import pytest

from tests.helpers.torch_files import (
    assert_same,
    dictionary,
    names,
    random_content,
    storage,
    tensor,
    write_legacy,
)
from tf_frcnn.checkpoints.files import CheckpointError, read_checkpoint
from tf_frcnn.checkpoints.torch_legacy import read_torch_legacy

NUMBERS = np.float32([1, 2, 3, 4])
STORED = {"0": (4, NUMBERS.tobytes())}
PICKLE = dictionary(x=tensor())


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.pth"


def refused(path, message):
    with pytest.raises(CheckpointError, match=rf"weights\.pth: .*{message}"):
        read_checkpoint(path)


def test_storages_follow_in_the_order_of_their_keys(path):
    pickled = dictionary(a=tensor(storage(key="1")), b=tensor(storage(key="0")))
    stored = {"1": (4, NUMBERS.tobytes()), "0": (4, (-NUMBERS).tobytes())}
    read = read_torch_legacy(write_legacy(path, pickled, stored))
    np.testing.assert_array_equal(read["a"], [[1, 2], [3, 4]])
    np.testing.assert_array_equal(read["b"], [[-1, -2], [-3, -4]])


def test_tensors_share_a_storage(path):
    pickled = dictionary(a=tensor(), b=tensor(None, 1, (2,), (2,)))
    read = read_torch_legacy(write_legacy(path, pickled, STORED))
    np.testing.assert_array_equal(read["b"], [2, 4])
    assert np.shares_memory(read["a"], read["b"])


def test_tensors_that_lay_on_a_gpu(path):
    on_cpu = names("torch", "FloatStorage")
    pickled = PICKLE.replace(on_cpu, names("torch.cuda", "FloatStorage"))
    assert pickled != PICKLE
    read = read_torch_legacy(write_legacy(path, pickled, STORED))
    np.testing.assert_array_equal(read["x"], [[1, 2], [3, 4]])


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ({}, "does not hold the storages"),
        ({"1": (4, NUMBERS.tobytes())}, "does not hold the storages"),
        ({"0": (3, NUMBERS.tobytes())}, "the storage 0 has 3 numbers, not 4"),
        ({"0": (4, NUMBERS.tobytes()[:-1])}, "the file ends within the storage 0"),
        ({"0": (4, b"")}, "the file ends within the storage 0"),
    ],
)
def test_a_storage_that_is_not_as_said_is_refused(path, stored, message):
    refused(write_legacy(path, PICKLE, stored), f"not a readable .*{message}")


def test_storages_of_more_numbers_than_the_file_take_no_memory(path):
    pickled = dictionary(x=tensor(storage(count=2**50)))
    refused(write_legacy(path, pickled, STORED), "beyond the file")
    # Each of them has room, but not all.
    thirds = {f"x{key}": tensor(storage(key=key, count=60)) for key in "012"}
    pickled = dictionary(**thirds)
    refused(write_legacy(path, pickled, STORED), "beyond the file")


def test_a_storage_of_two_sizes_is_refused(path):
    pickled = dictionary(a=tensor(), b=tensor(storage(count=5)))
    refused(write_legacy(path, pickled, STORED), "storage 0 has two sizes")


def test_another_pickle_is_refused(path):
    refused(write_legacy(path, PICKLE, STORED, magic=7), "neither a ZIP archive nor")


def test_damage_anywhere_is_refused_or_harmless(path):
    whole = write_legacy(path, PICKLE, STORED).read_bytes()
    rng, refused = np.random.default_rng(0), 0
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        try:
            read_checkpoint(path)
        except CheckpointError:
            refused += 1
    assert refused > len(whole) / 2


def test_a_file_of_pytorch_is_read_as_by_pytorch(path):
    torch = pytest.importorskip("torch", reason="PyTorch writes the file")
    content = random_content(torch)
    torch.save(content, path, _use_new_zipfile_serialization=False)
    expected = torch.load(path, weights_only=False)
    assert_same(torch, read_torch_legacy(path), expected)
    assert_same(torch, read_checkpoint(path).arrays, {**expected["model"]})


def test_pytorch_is_not_needed(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    write_legacy(path, PICKLE, STORED)
    np.testing.assert_array_equal(read_checkpoint(path).arrays["x"], [[1, 2], [3, 4]])
