import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.helpers.image_files import with_exif_entry
from tests.helpers.paths import SHARED
from tf_frcnn.data.checks.orientation import read_orientation
from tf_frcnn.data.decoding.exif import exif_orientation

PICTURES = SHARED / "cases" / "pictures"


@pytest.fixture(scope="module")
def in_graph():
    graph = tf.function(exif_orientation, [tf.TensorSpec([], tf.string)])
    return lambda data: int(graph(tf.constant(data)))


def photograph(kind, endian, orientation=6):
    exif = Image.Exif()
    exif.endian = endian
    exif[271], exif[274], exif[305] = "Maker", orientation, "Software"
    file = io.BytesIO()
    Image.new("RGB", (5, 4)).save(file, kind, exif=exif)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("endian", ["<", ">"])
@pytest.mark.parametrize("orientation", [*range(1, 9), 0, 9])
def test_the_orientation_is_read(kind, endian, orientation):
    expected = orientation if 1 <= orientation <= 8 else 1
    assert read_orientation(photograph(kind, endian, orientation)) == expected


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("endian", ["<", ">"])
def test_the_rule_is_that_of_the_graph_whatever_is_broken(in_graph, kind, endian):
    rng, data = np.random.default_rng(0), photograph(kind, endian)
    turned = 0
    for _ in range(150):
        broken = bytearray(data)
        for at in rng.integers(8, min(len(data), 140), rng.integers(1, 4)):
            broken[at] = rng.integers(256)
        broken = bytes(broken[: rng.integers(20, 2 * len(data))])
        assert read_orientation(broken) == in_graph(broken)
        turned += read_orientation(broken) != 1
    assert 10 < turned < 140  # Both answers occur.


@pytest.mark.parametrize(
    ("kind", "number", "value", "expected"),
    [
        (3, 1, b"\6\0\0\0", 6),
        (1, 1, b"\6\0\0\0", 1),  # BYTE
        (2, 2, b"6\0\0\0", 1),  # ASCII
        (4, 1, b"\6\0\0\0", 1),  # LONG
        (11, 1, b"\0\0\xc0\x40", 1),  # FLOAT
        (3, 2, b"\6\0\6\0", 1),  # Two numbers.
    ],
)
def test_only_one_short_number_counts(in_graph, kind, number, value, expected):
    for file in ("JPEG", "PNG"):
        data = with_exif_entry(file, kind, number, value)
        assert read_orientation(data) == in_graph(data) == expected


def test_in_a_png_it_may_stand_behind_the_pixels(in_graph):
    data = photograph("PNG", "<")
    start = data.index(b"eXIf") - 4
    end = data.index(b"IDAT") - 4
    behind = data[:start] + data[end:-12] + data[start:end] + data[-12:]
    assert behind != data
    assert read_orientation(behind) == in_graph(behind) == 6


def test_other_formats_and_no_bytes_are_upright():
    for data in (b"", b"\x89PNG", b"\xff\xd8\xff", b"GIF89a", b"II*\0"):
        assert read_orientation(data) == 1


@pytest.mark.skipif(not PICTURES.is_dir(), reason=f"no pictures in {PICTURES}")
@pytest.mark.parametrize(
    ("name", "orientation"),
    [
        *((f"jpeg_exif_{kind}.jpg", 1) for kind in ("ascii", "byte", "float")),
        ("png_exif_ascii.png", 1),
        ("png_exif_after_idat.png", 6),
    ],
)
def test_a_type_that_no_camera_writes_leaves_an_image_as_it_is(
    in_graph, name, orientation
):
    data = (PICTURES / name).read_bytes()
    assert read_orientation(data) == in_graph(data) == orientation
