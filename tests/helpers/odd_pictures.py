"""Pictures of few bytes that ask for much, and broken ones, from a seed."""

import functools
import io
import random
import struct
import zlib
from collections.abc import Iterator

from PIL import Image

from tests.helpers import image_files as files

_EMPTY_CHUNK = bytes(4) + b"teXt" + struct.pack(">I", zlib.crc32(b"teXt"))


def odd_pictures(count: int, seed: int, megapixels: float) -> Iterator[tuple]:
    """Yields (kind, bytes) of pictures, many of them near a limit of pixels.

    Args:
        count: of pictures.
        seed: of all that is drawn.
        megapixels: the limit. Some pictures have it, some claim more.
    """
    draw = random.Random(seed)
    kinds = list(_KINDS)
    for number in range(count):
        kind = kinds[number % len(kinds)]
        yield kind, _KINDS[kind](draw, megapixels)


def _sides(draw, megapixels):
    """Draws (width, height) of a picture near the limit, some long and thin."""
    width = draw.choice([1, 64, 3000, int((megapixels * 1e6) ** 0.5)])
    return width, max(1, int(megapixels * 1e6 / width * draw.choice([0.5, 0.98, 1])))


@functools.cache
def _black_png(width, height, depth=8, color=2):
    size = width * {2: 3, 6: 4, 0: 1}[color] * depth // 8
    packer, row = zlib.compressobj(1), bytes(size + 1)
    pixels = b"".join([*(packer.compress(row) for _ in range(height)), packer.flush()])
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts)


def _chunk(kind, data):
    return (
        struct.pack(">I", len(data))
        + kind
        + data
        + struct.pack(">I", zlib.crc32(kind + data))
    )


@functools.cache
def _progressive(width, height, subsampling):
    image = Image.new("RGB", (width, height), (9, 99, 199))
    return files.encode(image, "JPEG", progressive=True, subsampling=subsampling)


def _short(draw, megapixels):
    """Draws sides below 65,000, as a JPEG has them."""
    side = int((megapixels * 1e6) ** 0.5)
    return draw.choice([(side, side), (side // 2, side), (64, 60_000), (500, 400)])


def _large_png(draw, megapixels):
    return _black_png(*_sides(draw, megapixels), *draw.choice([(8, 2), (16, 6)]))


def _claiming_chunk(draw, _):
    return files.png_with_chunk(
        draw.randrange(2**20, 2**32), behind=draw.random() < 0.5
    )


def _many_chunks(draw, _):
    data = files.encode(files.IMAGE, "PNG")
    return data[:33] + _EMPTY_CHUNK * draw.randrange(20_000, 200_000) + data[33:]


def _profile_bomb(draw, _):
    data = files.encode(files.IMAGE, "PNG")
    packed = zlib.compress(bytes(draw.randrange(10**6, 10**8)), 9)
    kind = draw.choice([b"iCCP", b"zTXt"])
    return data[:33] + _chunk(kind, b"name\0\0" + packed) + data[33:]


def _many_scans(draw, megapixels):
    return files.jpeg_of_scans(*_short(draw, megapixels), draw.randrange(11, 1500))


def _large_jpeg(draw, megapixels):
    return _progressive(*_short(draw, megapixels), draw.choice([0, 2]))


def _many_segments(draw, _):
    data = files.encode(files.IMAGE, "JPEG")
    return data[:2] + b"\xff\xfe\0\2" * draw.randrange(10**6) + data[2:]


def _turned(draw, megapixels):
    exif, file = Image.Exif(), io.BytesIO()
    exif[274] = draw.randrange(1, 9)
    image = Image.new("RGB", _short(draw, megapixels))
    image.save(file, "JPEG", exif=exif)
    return file.getvalue()


def _many_frames(draw, _):
    return files.gif_of_frames(draw.choice([10, 500, 2000]), draw.randrange(2, 300))


def _claims(draw, _):
    make = draw.choice([files.png_of, files.jpeg_of, files.gif_of, files.bmp_of])
    return make(draw.randrange(1, 65_000), draw.randrange(1, 65_000))


def _cut(draw, _):
    data = files.encode(files.IMAGE, draw.choice(["PNG", "JPEG", "BMP", "GIF"]))
    return data[: draw.randrange(len(data))]


def _flipped(draw, _):
    kind = draw.choice(["PNG", "JPEG", "BMP", "GIF"])
    data = bytearray(files.encode(files.IMAGE, kind))
    for _ in range(draw.randrange(1, 20)):
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    return bytes(data)


def _noise(draw, _):
    magic = draw.choice([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b""])
    return magic + draw.randbytes(draw.randrange(100_000))


_KINDS = {
    "PNG at the limit": _large_png,
    "PNG, a chunk claims up to 4 GB": _claiming_chunk,
    "PNG of 20,000 to 200,000 chunks": _many_chunks,
    "PNG, compressed profile or text": _profile_bomb,
    "JPEG of 11 to 1500 scans": _many_scans,
    "JPEG, progressive, at the limit": _large_jpeg,
    "JPEG of up to a million segments": _many_segments,
    "JPEG, turned, at the limit": _turned,
    "GIF of many frames": _many_frames,
    "header that claims any size": _claims,
    "cut off": _cut,
    "flipped bits": _flipped,
    "noise behind a format's first bytes": _noise,
}
