import pickle
import sys
import zipfile

import numpy as np
import pytest

from tests.helpers.torch_files import (
    assert_same,
    dictionary,
    random_content,
    storage,
    tensor,
    write_zip,
)
from tf_frcnn.checkpoints.files import CheckpointError, read_checkpoint
from tf_frcnn.checkpoints.torch_zip import read_torch_zip

NUMBERS = np.float32([1, 2, 3, 4])
PICKLE = dictionary(x=tensor())


@pytest.fixture
def path(tmp_path):
    return tmp_path / "weights.pth"


def write(path, kind, content, **settings):
    """Writes a tensor [2, 2] of a kind of numbers."""
    pickled = dictionary(x=tensor(storage(kind)))
    return write_zip(path, pickled, {"0": content}, **settings)


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        ("BoolStorage", "?"),
        ("ByteStorage", "u1"),
        ("CharStorage", "i1"),
        ("ShortStorage", "i2"),
        ("IntStorage", "i4"),
        ("LongStorage", "i8"),
        ("HalfStorage", "f2"),
        ("FloatStorage", "f4"),
        ("DoubleStorage", "f8"),
    ],
)
@pytest.mark.parametrize(
    ("order", "sign"), [(None, "<"), ("little", "<"), ("big", ">")]
)
def test_numbers_of_every_type_and_order(path, kind, dtype, order, sign):
    numbers = np.array([1, 0, 1, 1]).astype(dtype)
    stored = numbers.astype(numbers.dtype.newbyteorder(sign)).tobytes()
    array = read_torch_zip(write(path, kind, stored, order=order))["x"]
    np.testing.assert_array_equal(array, numbers.reshape(2, 2))
    assert array.dtype == numbers.dtype
    weight = read_checkpoint(path).arrays["x"]
    assert weight.dtype == (np.float32 if dtype[0] == "f" else numbers.dtype)


@pytest.mark.parametrize("order", ["little", "big"])
def test_a_bfloat16_is_the_upper_half_of_a_float32(path, order):
    halves = NUMBERS.view("<u4") >> 16
    stored = halves.astype("<u2" if order == "little" else ">u2").tobytes()
    write(path, "BFloat16Storage", stored, order=order)
    array = read_checkpoint(path).arrays["x"]
    np.testing.assert_array_equal(array, [[1, 2], [3, 4]])
    assert array.dtype == np.float32


def test_tensors_share_a_storage(path):
    pickled = dictionary(a=tensor(), b=tensor(None, 1, (2,), (2,)))
    read = read_torch_zip(write_zip(path, pickled, {"0": NUMBERS.tobytes()}))
    np.testing.assert_array_equal(read["b"], [2, 4])
    assert np.shares_memory(read["a"], read["b"])


@pytest.mark.parametrize("content", [b"", NUMBERS.tobytes()[:-1], None])
def test_a_storage_of_too_few_bytes_is_refused(path, content):
    write_zip(path, PICKLE, {} if content is None else {"0": content})
    with pytest.raises(CheckpointError, match=r"weights\.pth: .* is damaged \("):
        read_checkpoint(path)


def test_a_storage_of_more_numbers_than_the_file_takes_no_memory(path):
    pickled = dictionary(x=tensor(storage(count=2**50)))
    write_zip(path, pickled, {"0": NUMBERS.tobytes()})
    with pytest.raises(CheckpointError, match="is damaged"):
        read_checkpoint(path)


def test_a_record_larger_than_the_file_is_refused(path):
    size = len(NUMBERS.tobytes())
    write_zip(path, PICKLE, {"0": NUMBERS.tobytes()})
    content = bytearray(path.read_bytes())
    entry = content.rindex(b"name/data/0") - 46  # of the central directory
    sizes = content[entry + 20 : entry + 28]
    assert sizes == size.to_bytes(4, "little") * 2
    content[entry + 20 : entry + 28] = (2**31).to_bytes(4, "little") * 2
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=f"is to have {2**31} of"):
        read_checkpoint(path)


def test_a_compressed_record_is_refused(path):
    write(path, "FloatStorage", bytes(16), compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(CheckpointError, match=r"data\.pkl is compressed"):
        read_checkpoint(path)


def test_another_archive_is_refused(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("word/document.xml", "text")
    with pytest.raises(CheckpointError, match=r"not a readable .* has no data\.pkl"):
        read_checkpoint(path)


def test_damage_anywhere_is_refused_or_harmless(path):
    write_zip(path, PICKLE, {"0": NUMBERS.tobytes()}, order="little")
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    refused = 0
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        try:
            read_checkpoint(path)
        except CheckpointError:
            refused += 1
    assert refused > len(whole) / 2


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_file_of_pytorch_is_read_as_by_pytorch(path, protocol):
    torch = pytest.importorskip("torch", reason="PyTorch writes the file")
    torch.save(random_content(torch), path, pickle_protocol=protocol)
    expected = torch.load(path, weights_only=False)
    assert_same(torch, read_torch_zip(path), expected)
    weights = read_checkpoint(path).arrays
    assert_same(torch, weights, {**expected["model"]})


def test_pytorch_is_not_needed(path, monkeypatch):
    torch = pytest.importorskip("torch", reason="PyTorch writes the file")
    torch.save({"x": torch.arange(3.0)}, path)
    for module in [name for name in sys.modules if name.partition(".")[0] == "torch"]:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError):
        __import__("torch")
    np.testing.assert_array_equal(read_checkpoint(path).arrays["x"], [0, 1, 2])


def test_a_refused_name_is_in_the_message(path):
    write_zip(path, pickle.dumps({"x": sys.exit}, 2), {})
    message = r"weights\.pth: .* wants to run code, .* \(it asks for sys\.exit\)"
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(path)
