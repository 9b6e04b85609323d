import io
import pickle

import numpy as np
import pytest

from tests.helpers.torch_files import (
    call,
    dictionary,
    names,
    number,
    storage,
    tensor,
    text,
    values,
)
from tf_frcnn.checkpoints.torch_pickle import Storage, unpickle

NUMBERS = np.float32([1, 2, 3, 4])


def read(pickled):
    return unpickle(io.BytesIO(pickled), lambda *_: Storage(NUMBERS))


def refused(pickled, message):
    with pytest.raises(pickle.UnpicklingError, match=message):
        read(pickled)


@pytest.mark.parametrize(
    ("offset", "size", "stride", "expected"),
    [
        (0, (2, 2), (2, 1), [[1, 2], [3, 4]]),
        (0, (2, 2), (1, 2), [[1, 3], [2, 4]]),
        (1, (3,), (1,), [2, 3, 4]),
        (1, (2,), (2,), [2, 4]),
        (3, (2, 3), (0, 0), [[4, 4, 4], [4, 4, 4]]),
        (0, (3, 2), (1, 1), [[1, 2], [2, 3], [3, 4]]),
        (2, (), (), 3),
        (2, (1,), (2**62,), [3]),
        (4, (2, 0), (1, 1), [[], []]),
    ],
)
def test_a_tensor_is_a_view_of_its_storage(offset, size, stride, expected):
    array = read(dictionary(x=tensor(None, offset, size, stride)))["x"]
    np.testing.assert_array_equal(array, np.float32(expected))
    assert array.dtype == np.float32


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [
        (1, (2, 2), (2, 1)),
        (4, (1,), (1,)),
        (0, (5,), (1,)),
        (-1, (2,), (1,)),
        (0, (-2,), (1,)),
        (3, (2,), (-1,)),
        (0, (2, 2), (1,)),
        (0, (2**62, 4), (1, 1)),
        (2**70, (1,), (1,)),
    ],
)
def test_a_tensor_beyond_its_storage_is_refused(offset, size, stride):
    refused(dictionary(x=tensor(None, offset, size, stride)), "a tensor")


def test_a_tensor_that_repeats_numbers_takes_no_memory():
    layer = read(dictionary(x=tensor(None, 0, (2**20, 2**20), (0, 0))))["x"]
    assert layer.shape == (2**20, 2**20) and layer.strides == (0, 0)


def test_what_a_tensor_views_is_a_storage():
    inner = tensor(None, 0, (2**20,), (0,))
    refused(dictionary(x=tensor(inner, 0, (2**20,), (1,))), "no storage")


def test_a_tensor_that_is_to_be_negated_is_refused():
    marks = b"(" + text("neg") + b"I01\nd"
    refused(dictionary(x=tensor(None, 0, (2, 2), (2, 1), marks)), "neg")


@pytest.mark.parametrize(
    "function", ["_rebuild_parameter", "_rebuild_parameter_with_state"]
)
def test_a_parameter_is_its_tensor(function):
    made = call(names("torch._utils", function), tensor(), b"I01\n", b"N")
    np.testing.assert_array_equal(read(dictionary(x=made))["x"], [[1, 2], [3, 4]])


@pytest.mark.parametrize("count", [-1, "4"])
def test_a_storage_has_a_number_of_elements(count):
    parts = (text("storage"), names("torch", "FloatStorage"), text("0"), text("cpu"))
    parts += (text(count) if isinstance(count, str) else number(count),)
    refused(dictionary(x=tensor(values(*parts) + b"Q")), "storage '0' of '?-?[14]")


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("builtins", "eval"),
        ("builtins", "getattr"),
        ("builtins", "bytearray"),
        ("torch", "load"),
        ("torch", "OtherStorage"),
        ("numpy", "load"),
        ("numpy.core.multiarray", "fromfile"),
        ("pathlib", "Path.read_text"),
        ("argparse", "ArgumentParser"),
        ("collections", "OrderedDict.fromkeys"),
    ],
)
def test_other_names_are_refused_and_named(module, name):
    refused(dictionary(x=call(names(module, name))), rf"it asks for {module}\.{name}$")


def test_no_attribute_reaches_the_program():
    """A pickle may set attributes of what it has: of a dictionary, or a function."""
    marks = b"(" + text("items") + number(1) + b"d"
    made = call(names("collections", "OrderedDict")) + marks + b"b"
    content = read(dictionary(x=made))["x"]
    assert content == {} and [*content.items()] == []
    for module, name in (("collections", "Counter"), ("torch", "Size")):
        refused(names(module, name) + values(b"N", marks) + b"b.", ".")
    assert [*read(call(names("collections", "Counter")) + b".").items()] == []


def test_containers_come_as_plain_ones():
    listed = b"(" + number(1) + number(2) + b"l"
    assert read(call(names("__builtin__", "set"), listed) + b".") == {1, 2}
    assert read(call(names("torch", "Size"), listed) + b".") == (1, 2)
    pair = b"(" + text("a") + number(2) + b"d"
    assert read(call(names("collections", "Counter"), pair) + b".") == {"a": 2}


@pytest.mark.parametrize("value", [np.float64(0.7053), np.float32(0.5), np.int64(-3)])
@pytest.mark.parametrize("protocol", [2, 4])
def test_numbers_of_numpy(value, protocol):
    found = read(pickle.dumps({"map": value}, protocol))["map"]
    assert found == value and found.dtype == value.dtype


def test_a_number_of_numpy_has_its_byte_order():
    value = np.float64(0.7053)
    swapped = pickle.dumps(value, 2).replace(b"<", b">")
    assert read(swapped) == value.byteswap()


@pytest.mark.parametrize("value", [np.array([None]), np.datetime64(1, "s")])
def test_other_values_of_numpy_are_refused(value):
    refused(pickle.dumps(value, 2), "it (asks for|holds a number of) ?[Nn]um[Pp]y")


@pytest.mark.parametrize(
    "pickled",
    [
        b"",
        b"nothing",
        b"(.",
        b"N",
        b"\x80\x02r" + (2**31).to_bytes(4, "little") + b"N.",
        b"N" + b"p9999999999\n.",
        b"\x80\x05\x96" + (2**60).to_bytes(8, "little") + b".",
    ],
)
def test_a_damaged_pickle_is_refused(pickled):
    refused(pickled, ".")


def test_a_pickle_of_an_object_that_was_numbered_too_high_is_refused():
    refused(
        b"Nr" + (2**31).to_bytes(4, "little") + b".", "numbers an object 2147483648"
    )


def test_the_file_is_left_behind_the_pickle():
    file = io.BytesIO(b"xI1\n.I2\n.")
    file.read(1)
    assert [unpickle(file), unpickle(file), file.read()] == [1, 2, b""]


def test_without_storages_there_are_no_tensors():
    with pytest.raises(pickle.UnpicklingError, match="asks for the storage"):
        unpickle(io.BytesIO(storage() + b"."))
