import struct
import zlib

import pytest
import tensorflow as tf

from tests.helpers import image_files as files
from tests.helpers.image_files import IMAGE, encode, jpeg_of_scans
from tf_frcnn.data.checks import many_parts
from tf_frcnn.data.checks.images import UnreadableImageError, inspect_image
from tf_frcnn.data.checks.many_parts import require_few_parts
from tf_frcnn.data.decoding.jpeg_scans import TOO_MANY_SCANS, has_too_many_scans

IN_GRAPH = tf.function(
    has_too_many_scans,
    input_signature=[tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.int64)],
)
EMPTY = b"\xff\xfe\0\2"


def is_refused(data):
    try:
        require_few_parts(data)
    except UnreadableImageError:
        return True
    return False


def test_jpegs_of_many_scans_are_refused_by_their_work():
    with pytest.raises(UnreadableImageError, match=TOO_MANY_SCANS):
        inspect_image(jpeg_of_scans(1100, 1000, 1000))
    assert inspect_image(jpeg_of_scans(110, 100, 1000)).stored_height == 100
    assert is_refused(jpeg_of_scans(110, 100, 1001))


@pytest.mark.parametrize("scans", [9, 900, 1001])
@pytest.mark.parametrize(
    "change",
    [
        lambda data: data,
        lambda data: data[:2] + EMPTY * 2100 + data[2:],
        lambda data: data[:2] + b"\xff\xfe\0\x06\xff\xd9\xff\xda" + data[2:],
        lambda data: data + b"\xff\xda\0\2" * 2000,
        lambda data: data.replace(b"\xff\xda", b"\xff\xff\xff\xda"),
        lambda data: data.replace(b"\xff\xda", b"\xff\x02\xff\xda"),
        lambda data: data[: len(data) // 2] + data,
    ],
)
def test_the_rule_is_that_of_the_graph(scans, change):
    data = change(jpeg_of_scans(1100, 1000, scans))
    in_graph = IN_GRAPH(tf.constant(data), tf.constant(1_100_000, tf.int64))
    assert is_refused(data) == bool(in_graph)


def test_gifs_of_many_frames_are_refused_by_their_pixels(monkeypatch):
    monkeypatch.setattr(many_parts, "MAX_FRAME_PIXELS", 40 * 100 * 100)
    assert inspect_image(files.gif_of_frames(100, 40)).stored_height == 100
    with pytest.raises(UnreadableImageError, match="its frames have more than"):
        inspect_image(files.gif_of_frames(100, 41))
    assert not is_refused(files.gif_of_frames(100, 40) + b"," * 1000)


def test_pngs_of_many_chunks_are_refused(monkeypatch):
    monkeypatch.setattr(many_parts, "MAX_CHUNKS", 10)
    data = encode(IMAGE, "PNG")
    empty = bytes(4) + b"teXt" + struct.pack(">I", zlib.crc32(b"teXt"))
    assert not is_refused(data[:33] + empty * 7 + data[33:])
    assert is_refused(data[:33] + empty * 8 + data[33:])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP"])
def test_whole_images_pass_and_no_cut_ends_in_another_error(kind):
    data = encode(IMAGE, kind)
    assert not is_refused(data)
    for size in range(0, len(data), 7):
        is_refused(data[:size])
