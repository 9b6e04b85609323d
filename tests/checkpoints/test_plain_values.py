import argparse
import collections
import datetime
import io
import pathlib
import pickle
import types

import numpy as np
import pytest

from tests.helpers.torch_files import call, names, number, text, values
from tf_frcnn.checkpoints.torch_pickle import unpickle

PROTOCOLS = pytest.mark.parametrize("protocol", [2, 3, 4, 5])
DAY = datetime.datetime(2026, 11, 26, 1, 2, 3)


def read(pickled):
    return unpickle(io.BytesIO(pickled))


@PROTOCOLS
@pytest.mark.parametrize(
    "value",
    [
        DAY,
        DAY.replace(tzinfo=datetime.timezone(datetime.timedelta(hours=1))),
        DAY.date(),
        DAY.time(),
        datetime.timedelta(3),
        collections.OrderedDict(a=1, b=[2]),
        collections.defaultdict(list, a=[1]),
        collections.defaultdict(dict),
        {1, 2},
        frozenset([1]),
        1 + 2j,
        {"a": (1, None, True, "x", b"y", 2.5)},
        np.str_("resnet50"),
        np.bytes_(b"ab"),
        np.bool_(True),
    ],
)
def test_values_come_as_they_were(value, protocol):
    assert read(pickle.dumps(value, protocol)) == value


@PROTOCOLS
def test_the_arguments_of_a_program_are_a_dictionary(protocol):
    content = {"lr": 0.02, "data": pathlib.PurePosixPath("/data/coco"), "more": [1]}
    for kind in (argparse.Namespace, types.SimpleNamespace):
        found = read(pickle.dumps({"args": kind(**content)}, protocol))["args"]
        assert found == {"lr": 0.02, "data": "/data/coco", "more": [1]}
        assert isinstance(found, dict)


@PROTOCOLS
@pytest.mark.parametrize("pure", [pathlib.PurePosixPath, pathlib.PureWindowsPath])
def test_paths_are_texts_whatever_the_system(pure, protocol):
    path = pure("a/b", "c.pth")
    pickled = pickle.dumps(path, protocol)
    assert read(pickled) == str(path)
    if protocol < 4:  # Names of later ones have their length before them.
        assert read(pickled.replace(b"\nPure", b"\n")) == str(path)


@PROTOCOLS
@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.arange(2000, dtype=">f4")[::2],
        np.zeros([0, 3], np.int8),
        np.array(3.5),
        np.array(["a", "bc"]),
        np.array([True, False]),
    ],
)
def test_arrays_of_numpy(array, protocol):
    found = read(pickle.dumps(array, protocol))
    np.testing.assert_array_equal(found, array)
    assert found.dtype == array.dtype.newbyteorder("=")


def test_types_and_devices_of_pytorch_are_texts():
    assert read(names("torch", "float16") + b".") == "torch.float16"
    device = call(names("torch", "device"), text("cuda"), number(1))
    assert read(device + b".") == "cuda:1"


class Anything:
    pass


@pytest.mark.parametrize("value", [Anything(), Anything, len, print])
def test_other_classes_and_functions_are_named(value):
    kind = type(value) if isinstance(value, Anything) else value
    with pytest.raises(pickle.UnpicklingError, match=rf"asks for .*{kind.__name__}$"):
        read(pickle.dumps(value, 2))


def test_bytes_are_not_made_by_their_number():
    assert read(pickle.dumps(b"", 2)) == b""
    with pytest.raises(pickle.UnpicklingError, match="takes 0 positional arguments"):
        read(call(names("builtins", "bytes"), number(2**60)) + b".")


def test_copies_of_one_long_text_do_not_fill_the_memory():
    encode = names("_codecs", "encode")
    long = text("a" * 100_000) + b"p0\n0"
    copies = b"".join(call(encode, b"g0\n", text("latin1")) for _ in range(50))
    with pytest.raises(pickle.UnpicklingError, match="copies that are larger"):
        read(long + values(copies) + b".")


def test_copies_of_one_long_dictionary_do_not_fill_the_memory():
    pairs = b"".join(number(n) + b"N" for n in range(5000))
    long = b"(" + pairs + b"dp0\n0"
    counter = names("collections", "Counter")
    copies = b"".join(call(counter, b"g0\n") for _ in range(2000))
    with pytest.raises(pickle.UnpicklingError, match="copies that are larger"):
        read(long + values(copies) + b".")


@pytest.mark.parametrize(
    "state",
    [
        values(b"N", values(number(-1)), b"N", b"I00\n", text("x")),
        values(b"N", b"N", b"N"),
        b"N",
        text("x"),
    ],
)
def test_an_array_of_another_state_is_refused(state):
    made = call(names("numpy.core.multiarray", "_reconstruct"), b"N", b"N", b"N")
    with pytest.raises(pickle.UnpicklingError):
        read(made + state + b"b.")
