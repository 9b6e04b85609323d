import struct

import pytest
import tensorflow as tf

from tests.helpers.image_files import IMAGE, encode, png_with_chunk
from tf_frcnn.data.decoding.png_chunks import find_chunk


def found(data, *kinds):
    spec = tf.TensorSpec([], tf.string)
    graph = tf.function(
        lambda data: find_chunk(data, kinds, 100), input_signature=[spec]
    )
    kind, at = graph(tf.constant(data))
    return kind.numpy(), int(at)


def test_the_first_chunk_of_a_kind_is_found_with_its_content():
    data = encode(IMAGE, "PNG")
    assert found(data, b"IHDR") == (b"IHDR", 16)
    kind, at = found(data, b"eXIf", b"IDAT")
    assert kind == b"IDAT" and data[at - 4 : at] == b"IDAT"
    assert found(data, b"IEND") == (b"IEND", len(data) - 4)


def test_what_is_not_there_is_an_error():
    # TensorFlow's message holds the bytes of the file, which may be no text.
    with pytest.raises((tf.errors.InvalidArgumentError, UnicodeDecodeError)):
        found(encode(IMAGE, "PNG"), b"eXIf")


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("claim", [10**6, 2**31 - 1, 2**32 - 1])
def test_a_chunk_longer_than_the_file_is_an_error(behind, claim):
    with pytest.raises(tf.errors.InvalidArgumentError):
        found(png_with_chunk(claim, behind=behind), b"IEND")


def test_chunks_without_end_are_left():
    endless = b"\x89PNG\r\n\x1a\n" + (struct.pack(">I", 0) + b"tEXt" + bytes(4)) * 200
    assert found(endless, b"IEND")[0] == b"tEXt"
