import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tf_frcnn.data.decoding.exif import exif_orientation


@pytest.fixture(scope="module")
def read():
    graph = tf.function(exif_orientation, [tf.TensorSpec([], tf.string)])
    return lambda data: int(graph(tf.constant(data)))


def image(kind, orientation, endian="<", **settings):
    exif = Image.Exif()
    exif.endian = endian
    exif[271], exif[272], exif[305] = "Maker", "Model", "Software"
    if orientation is not None:
        exif[274] = orientation
    file = io.BytesIO()
    Image.new("RGB", (5, 4)).save(file, kind, exif=exif, **settings)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("endian", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_read_in_both_orders_of_bytes(
    read, kind, endian, orientation
):
    data = image(kind, orientation, endian)
    assert {"<": b"II*\0", ">": b"MM\0*"}[endian] in data
    assert Image.open(io.BytesIO(data)).getexif()[274] == orientation
    assert read(data) == orientation


def test_other_segments_may_come_before(read):
    data = image("JPEG", 6, comment=b"no Exif\0\0 here")
    extra = b"\xff\xe1\x00\x08http:/" + b"\xff\xff\xe2\x00\x04ab"
    assert read(data[:2] + extra + data[2:]) == 6


@pytest.mark.parametrize("orientation", [None, 0, 9, 600])
def test_no_orientation_and_impossible_ones_leave_an_image_as_it_is(read, orientation):
    assert read(image("JPEG", orientation)) == 1
    assert read(image("PNG", orientation)) == 1


def test_images_without_exif_are_upright(read):
    for kind in ("JPEG", "PNG", "BMP", "GIF"):
        file = io.BytesIO()
        Image.new("RGB", (5, 4)).save(file, kind)
        assert read(file.getvalue()) == 1


def test_a_broken_note_does_not_break_the_image(read):
    data = image("JPEG", 6)
    header = data.index(b"II*\0")
    for at in range(header, header + 10):
        for value in (0, 127, 255):
            assert 1 <= read(data[:at] + bytes([value]) + data[at + 1 :]) <= 8
    for end in range(len(data) - 1):
        assert read(data[:end]) in (1, 6)


def test_parts_without_end_are_left_soon(read):
    empty_segments = b"\xff\xd8" + b"\xff\xe2\x00\x02" * 100_000
    assert read(empty_segments) == 1
    chunks = b"\x89PNG\r\n\x1a\n" + (bytes(4) + b"tEXt" + bytes(4)) * 100_000
    assert read(chunks) == 1
    assert np.log10(len(chunks)) > 6
