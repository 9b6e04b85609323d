"""Files of PyTorch: written by hand, true ones and others, and by PyTorch."""

import collections
import pickle
import zipfile

import numpy as np


def number(value):
    return b"I%d\n" % value


def text(value):
    return b"V%s\n" % value.encode()


def names(*parts):
    """Returns a pickle's reference to a name of a module."""
    return b"c%s\n%s\n" % tuple(part.encode() for part in parts)


def values(*parts):
    """Returns a pickle's tuple."""
    return b"(%st" % b"".join(parts)


def call(function, *arguments):
    return function + values(*arguments) + b"R"


def storage(kind="FloatStorage", key="0", count=4):
    parts = (text("storage"), names("torch", kind), text(key), text("cpu"))
    return values(*parts, number(count)) + b"Q"


def tensor(stored=None, offset=0, size=(2, 2), stride=(2, 1), *more):
    """Returns a pickled tensor; by default all of a storage of four numbers."""
    return call(
        names("torch._utils", "_rebuild_tensor_v2"),
        storage() if stored is None else stored,
        number(offset),
        values(*map(number, size)),
        values(*map(number, stride)),
        b"I00\n",
        b"N",
        *more,
    )


def dictionary(**items):
    """Returns a whole pickle of a dictionary of pickled values."""
    pairs = [text(name) + value for name, value in items.items()]
    return b"(%sd." % b"".join(pairs)


def write_zip(path, pickled, storages, *, order=None, compression=zipfile.ZIP_STORED):
    """Writes an archive as PyTorch does.

    Args:
        path: of the file.
        pickled: the bytes of the pickle.
        storages: key -> bytes.
        order: of the bytes in a number, "little" or "big"; None for an archive that
            does not say.
        compression: of `zipfile`.
    """
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("name/data.pkl", pickled)
        for key, content in storages.items():
            archive.writestr(f"name/data/{key}", content)
        if order:
            archive.writestr("name/byteorder", order)
        archive.writestr("name/version", "3\n")
    return path


def write_state_dict(path, arrays):
    """Writes an archive of arrays of float32 by name."""
    items, storages = {}, {}
    for key, (name, array) in enumerate(arrays.items()):
        strides = [step // 4 for step in array.strides]
        stored = storage(key=str(key), count=array.size)
        items[name] = tensor(stored, 0, array.shape, strides)
        storages[key] = np.float32(array).tobytes()
    return write_zip(path, dictionary(**items), storages)


def write_legacy(path, pickled, storages, *, magic=0x1950A86A20F9469CFC6C):
    """Writes a file as PyTorch did before 1.6.

    Args:
        path: of the file.
        pickled: the bytes of the pickle.
        storages: key -> (count of its numbers, their bytes).
        magic: the number that the file begins with.
    """
    machine = {"protocol_version": 1001, "little_endian": True}
    parts = [pickle.dumps(part, 2) for part in (magic, 1001, machine)]
    parts += [pickled, pickle.dumps([*storages], 2)]
    for count, content in storages.values():
        parts += [count.to_bytes(8, "little"), content]
    path.write_bytes(b"".join(parts))
    return path


def random_content(torch):
    """Returns what a training program may save, with every kind of tensor."""
    torch.manual_seed(0)
    base = torch.randn(6, 10)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    numbers = (torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32)
    numbers += (torch.int16, torch.int8, torch.uint8, torch.bool)
    return {
        "model": network.state_dict(),
        "parameter": next(network.parameters()),
        "views": [base, base.t(), base[1:4, ::3], base[2, 5], base[:0]],
        "repeated": base[0].expand(3, 10),
        "types": {str(dtype): base.to(dtype)[:, 1:] for dtype in numbers},
        "milestones": collections.Counter([16, 22, 22]),
        "shape": torch.Size([3, 4]),
        "seen": {1, 2},
        "map": np.float64(0.7053),
        "settings": {"lr": 0.02, "name": "vgg16", "raw": b"\x00\xff", "none": None},
        "epoch": 3,
    }


def assert_same(torch, found, expected):
    if isinstance(expected, torch.Tensor):
        array = np.asarray(found)
        number = expected.detach()
        assert str(array.dtype) == str(number.dtype).removeprefix("torch.")
        assert array.shape == tuple(number.shape)
        np.testing.assert_array_equal(array.astype(np.float64), number.double().numpy())
    elif isinstance(expected, dict):
        assert [*found] == [*expected]
        for name, value in expected.items():
            assert_same(torch, found[name], value)
    elif isinstance(expected, list):
        for own, value in zip(found, expected, strict=True):
            assert_same(torch, own, value)
    else:
        assert found == expected
