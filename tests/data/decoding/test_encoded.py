import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.helpers import image_files as files
from tests.helpers.image_files import IMAGE, encode
from tf_frcnn.data.decoding import encoded
from tf_frcnn.data.decoding.encoded import decode_or_refuse
from tf_frcnn.data.decoding.transforms import decode_image

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def read():
    """Reads an image of at most 10000 pixels in a graph."""

    @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
    def read(data):
        return decode_or_refuse(data, tf.constant("picture 3"), 10_000)

    return lambda data: read(tf.constant(data)).numpy()


def refusal_of(read, data):
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        read(data)
    assert error.value.error_code == 3
    return error.value.message.split("assertion failed: [")[1].split("]\n")[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        *(("JPEG", mode) for mode in ("RGB", "L", "CMYK", "1")),
        *((kind, mode) for kind in ("PNG", "BMP") for mode in ("RGB", "L", "P", "1")),
        *(("GIF", mode) for mode in ("RGB", "L", "P", "1")),
        *(("PNG", "RGBA"), ("BMP", "RGBA"), ("GIF", "RGBA")),
    ],
)
def test_images_are_decoded_as_in_training(read, kind, mode):
    data = encode(IMAGE.convert(mode), kind)
    if kind == "BMP" and mode in ("L", "P", "1"):
        assert "BMP with a palette" in refusal_of(read, data)
        return
    expected = decode_image(tf.constant(data), tf.constant(1))
    np.testing.assert_array_equal(read(data), expected)


def test_of_an_animation_the_first_frame_is_taken(read):
    others = [IMAGE.rotate(90), IMAGE.rotate(180)]
    data = encode(
        IMAGE, "GIF", save_all=True, append_images=others, comment=b"hi" * 200
    )
    expected = decode_image(tf.constant(data), tf.constant(1))
    np.testing.assert_array_equal(read(data), expected)


def test_behind_the_first_frame_of_an_animation_not_even_broken_parts_count(read):
    frame = Image.new("L", (100, 100))
    frames = [Image.new("L", (100, 100), shade) for shade in range(1, 40)]
    data = encode(frame, "GIF", save_all=True, append_images=frames)
    head, tail = data[: len(data) // 2], data[len(data) // 2 :]
    assert read(head + b"broken" + tail).shape == (100, 100, 3)


def peak_mib():
    lines = Path("/proc/self/status").read_text().splitlines()
    (peak,) = (line for line in lines if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 1024


def test_a_gif_whose_first_frame_is_a_part_of_its_screen_is_refused(read):
    reason = refusal_of(read, files.gif_of_a_part((90, 60), (10, 10)))
    assert reason == "picture 3: its first frame does not fill its screen"
    assert read(files.gif_of_a_part((10, 12), (10, 12))).shape == (12, 10, 3)


@pytest.mark.slow
def test_behind_more_chunks_than_are_passed_nothing_is_believed(monkeypatch):
    monkeypatch.setattr(encoded, "MAX_CHUNKS", 10)

    @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
    def read(data):
        return decode_or_refuse(data, tf.constant("picture 3"), 10_000)

    data = encode(IMAGE, "PNG")
    empty = bytes(4) + b"teXt" + struct.pack(">I", zlib.crc32(b"teXt"))
    assert read(tf.constant(data[:33] + empty * 8 + data[33:])).shape == (30, 44, 3)
    many = tf.constant(data[:33] + empty * 9 + data[33:])
    assert "it cannot be decoded" in refusal_of(read, many)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the peak anew")
@pytest.mark.parametrize("behind", [False, True])
def test_a_png_does_not_get_the_memory_that_a_chunk_claims(read, behind):
    read(encode(IMAGE, "PNG"))  # Makes the graph.
    Path("/proc/self/clear_refs").write_text("5")  # Sets the peak to what is held now.
    before = peak_mib()
    data = files.png_with_chunk(2**30, behind=behind)
    assert "it cannot be decoded" in refusal_of(read, data)
    assert peak_mib() - before < 100


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the peak anew")
@pytest.mark.parametrize("kind", ["4000 frames", "50 MB behind the frame"])
def test_a_long_gif_takes_little_more_memory_than_its_file(read, kind):
    # Its frames would take 114 MiB, its bytes as 64-bit numbers 400 MB.
    data = encode(Image.new("RGB", (100, 100)), "GIF")
    frame = data[data.index(b"," + bytes(4)) : -1]
    rest = frame * 4000 if kind == "4000 frames" else b"!\xfe\xff" + bytes(50_000_000)
    read(data)  # Makes the graph.
    data = tf.constant(data[:-1] + rest + b";")
    Path("/proc/self/clear_refs").write_text("5")  # Sets the peak to what is held now.
    before = peak_mib()
    assert read(data).shape == (100, 100, 3)
    assert peak_mib() - before < 20 + 1.5 * len(rest) / 2**20


@pytest.mark.parametrize("turn", [1, 6])
def test_images_are_turned_upright(read, turn):
    exif = Image.Exif()
    exif[274] = turn
    data = encode(IMAGE, "PNG", exif=exif)
    expected = decode_image(tf.constant(data), tf.constant(turn))
    np.testing.assert_array_equal(read(data), expected)


def test_rows_of_a_bmp_may_go_from_top_to_bottom(read):
    data = files.bmp_of(44, -30)
    np.testing.assert_array_equal(read(data), np.array(IMAGE)[::-1])


@pytest.mark.parametrize(
    "make", [files.png_of, files.jpeg_of, files.gif_of, files.bmp_of]
)
@pytest.mark.parametrize(
    ("width", "height"), [(101, 100), (1, 10_001), (20_000, 20_000), (65_000, 65_000)]
)
def test_large_claims_are_refused(read, make, width, height):
    assert refusal_of(read, make(width, height)) == (
        f"picture 3: its header claims {height} x {width} pixels (height x width), "
        "more than the 0.01 megapixels allowed"
    )


def test_sides_whose_product_has_no_number_are_refused(read):
    claim = refusal_of(read, files.png_of(2**32 - 1, 2**32 - 1))
    assert "its header claims 2147483648 x 2147483648 pixels" in claim


def test_a_frame_larger_than_its_screen_is_refused(read):
    data = bytearray(encode(IMAGE, "GIF"))
    at = data.index(b"," + bytes(4) + struct.pack("<HH", 44, 30))
    data[at + 5 : at + 9] = struct.pack("<HH", 60_000, 50_000)
    assert "claims 50000 x 60000 pixels" in refusal_of(read, bytes(data))


def test_the_limit_itself_is_allowed(read):
    assert read(encode(Image.new("RGB", (100, 100)), "PNG")).shape == (100, 100, 3)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is empty"),
        (b"hello", "it is not a JPEG, PNG, BMP or GIF"),
        (b"\xff", "it is not a JPEG, PNG, BMP or GIF"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "it is not a JPEG, PNG, BMP or GIF"),
        (b"BM", "it cannot be decoded: it is damaged"),
        (b"\xff\xd8\xff", "it cannot be decoded: it is damaged"),
        (b"GIF89a", "it cannot be decoded: it is damaged"),
        (b"\x89PNG\r\n\x1a\n", "it cannot be decoded: it is damaged"),
    ],
)
def test_what_is_no_image_is_refused_with_the_reason(read, data, reason):
    assert refusal_of(read, data).startswith(f"picture 3: {reason}")


@pytest.mark.slow
def test_200_malformed_files_are_refused_and_the_next_is_read(read):
    broken = [*files.malformed()]
    assert len(broken) == 200
    good = encode(IMAGE, "PNG")
    for data in broken:
        assert refusal_of(read, data).startswith("picture 3: it")
        np.testing.assert_array_equal(read(good), IMAGE)


def test_flipped_bits_are_refused_or_read_and_never_fatal(read):
    good = encode(IMAGE, "PNG")
    for data in files.flipped():
        try:
            assert read(data).size <= 30_000
        except tf.errors.InvalidArgumentError as error:
            assert "picture 3: it" in error.message
    np.testing.assert_array_equal(read(good), IMAGE)
