"""Small images, and files that only pretend to be one."""

import io
import itertools
import struct
import zipfile
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


def foreign(image):
    """Yields files of six other formats that hold the image."""
    yield from (encode(image, kind) for kind in ("WEBP", "TIFF", "PDF", "PPM", "ICO"))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("picture.png", encode(image, "PNG"))
    yield archive.getvalue()


def with_exif_entry(kind, field_type, number, value):
    """Returns a file whose orientation has a type, a count and four bytes of value."""
    exif = Image.Exif()
    exif.endian, exif[274] = "<", 6
    data = encode(Image.new("RGB", (5, 4)), kind, exif=exif)
    at = data.index(b"\x12\x01\x03\x00")
    entry = struct.pack("<HHI", 274, field_type, number) + value
    data = data[:at] + entry + data[at + 12 :]
    if kind == "PNG":  # Its checksum follows the chunk.
        start = data.index(b"eXIf")
        (length,) = struct.unpack_from(">I", data, start - 4)
        end = start + 4 + length
        data = (
            data[:end]
            + struct.pack(">I", zlib.crc32(data[start:end]))
            + data[end + 4 :]
        )
    return data


def gif_of_a_part(screen, frame):
    """Returns a GIF whose first frame is smaller than its screen.

    Args:
        screen, frame: (width, height) each.
    """
    data = bytearray(encode(Image.new("RGB", frame, (200, 40, 40)), "GIF"))
    data[6:10] = struct.pack("<HH", *screen)
    return bytes(data)


def png_with_chunk(claim, *, behind=False):
    """Returns a small PNG with a text chunk that claims a number of bytes."""
    data = encode(IMAGE, "PNG")
    at = data.index(b"IEND") - 4 if behind else 33
    return data[:at] + struct.pack(">I", claim) + b"tEXt" + bytes(50) + data[at:]


def jpeg_of_scans(width, height, scans):
    """Returns a grey progressive JPEG whose last scan, of few bytes, is repeated."""
    data = encode(Image.new("L", (width, height), 99), "JPEG", progressive=True)
    begins, end = data.rindex(b"\xff\xda"), data.rindex(b"\xff\xd9")
    repeats = scans - data.count(b"\xff\xda")
    return data[:end] + data[begins:end] * repeats + data[end:]


def with_flipped_bit(data, byte, bit):
    return data[:byte] + bytes([data[byte] ^ 1 << bit]) + data[byte + 1 :]


def malformed():
    """Yields 200 files that are refused: broken, foreign, or of huge claims."""
    yield from (b"", b"hello")
    for kind in ("PNG", "JPEG", "BMP", "GIF"):
        data = encode(IMAGE, kind)
        # A GIF without its last bytes has its whole frame.
        for share in RNG.uniform(0.02, 0.9, 30):
            yield data[: int(share * len(data))]
        yield from (data[:size] for size in range(1, 5))
        for _ in range(4):
            yield bytes(RNG.permutation(np.frombuffer(data, np.uint8)))
        # Of the first two bytes, by which a format is known.
        yield from (with_flipped_bit(data, byte, 3) for byte in range(2))
    # Of the sides and the kind of pixels, for which a PNG has a checksum.
    png = encode(IMAGE, "PNG")
    yield from (with_flipped_bit(png, byte, byte % 8) for byte in range(18, 26))
    for image in (IMAGE, IMAGE.rotate(90, expand=True), IMAGE.convert("L")):
        yield from foreign(image)
    for make, fewer in itertools.product((png_of, jpeg_of, gif_of, bmp_of), range(3)):
        yield make(60_000 - fewer, 60_000)


def flipped():
    """Yields 200 files with a few bits turned, some of which are images still."""
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


def gif_of_frames(side, frames):
    """Returns a GIF of few bytes that repeats its frame."""
    data = encode(Image.new("RGB", (side, side)), "GIF")
    frame = data[data.index(b"," + bytes(4)) : -1]
    return data[:-1] + frame * (frames - 1) + b";"
