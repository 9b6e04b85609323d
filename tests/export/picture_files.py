"""Small pictures, and files that only pretend to be one."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

RNG = np.random.default_rng(0)
IMAGE = Image.fromarray(RNG.integers(0, 256, [30, 44, 3], np.uint8))
FEW_PIXELS = zlib.compress(bytes(10))


def encode(image, kind, **settings):
    file = io.BytesIO()
    image.save(file, kind, **settings)
    return file.getvalue()


def png_of(width, height, pixels=FEW_PIXELS):
    """Returns a PNG of three parts that claims any size and holds a few pixels."""
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", pixels),
        (b"IEND", b""),
    ]
    chunks = [
        struct.pack(">I", len(data))
        + kind
        + data
        + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def jpeg_of(width, height):
    data = bytearray(encode(IMAGE, "JPEG"))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def gif_of(width, height):
    data = bytearray(encode(IMAGE, "GIF"))
    at = data.index(b"," + bytes(4))
    for start in (6, at + 5):  # The screen's and the frame's.
        data[start : start + 4] = struct.pack("<HH", width, height)
    return bytes(data)


def bmp_of(width, height):
    data = bytearray(encode(IMAGE, "BMP"))
    data[18:26] = struct.pack("<ii", width, height)
    return bytes(data)


def malformed():
    """Yields 200 broken files: cut, shuffled, empty, text, or of huge claims."""
    files = [encode(IMAGE, kind) for kind in ("PNG", "JPEG", "BMP", "GIF")]
    for data in files:
        # A GIF without its last bytes has its whole frame.
        for share in RNG.uniform(0, 0.9, 30):
            yield data[: int(share * len(data))]
        for seed in range(8):
            yield bytes(RNG.permutation(np.frombuffer(data, np.uint8)))
            yield data[:seed]
    yield from (b"hello" * count for count in range(4))
    for make in (png_of, jpeg_of, gif_of, bmp_of):
        yield from (make(60_000 - i, 60_000) for i in range(3))


def flipped():
    """Yields 200 files with a few bits turned, some of which are pictures still."""
    for kind in ("PNG", "JPEG", "BMP", "GIF"):
        data = np.frombuffer(encode(IMAGE, kind), np.uint8)
        for _ in range(50):
            changed = data.copy()
            changed[RNG.integers(len(data), size=3)] ^= np.uint8(1 << RNG.integers(8))
            yield changed.tobytes()


def bomb():
    """Returns a whole PNG of 190 kB whose pixels take 183 MiB."""
    side, packer = 8000, zlib.compressobj(9)
    rows = [packer.compress(bytes(3 * side + 1)) for _ in range(side)]
    return png_of(side, side, b"".join([*rows, packer.flush()]))
