"""Image files of few bytes and many parts, refused before a decoder sees them."""

import re
import struct
from collections.abc import Iterator
from itertools import islice

from tf_frcnn.data.checks.png_chunks import chunks_of
from tf_frcnn.data.decoding.encoded import MAX_CHUNKS
from tf_frcnn.data.decoding.foreign import UnreadableImageError
from tf_frcnn.data.decoding.gif import MAX_BLOCKS
from tf_frcnn.data.decoding.jpeg_scans import (
    MAX_PARTS,
    MAX_SCANNED_PIXELS,
    MAX_SCANS,
    TOO_MANY_SCANS,
)

# Pixels of all frames of a GIF; the decoder holds them at once.
MAX_FRAME_PIXELS = 2**27
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
_SCAN, _END = 0xDA, 0xD9
_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def require_few_parts(data: bytes) -> None:
    """Refuses an image file that costs far more time or memory than its size justifies.

    The rules of JPEG and PNG are those of `decoding.encoded`.

    Args:
        data: an encoded image of any format.

    Raises:
        UnreadableImageError: it is a JPEG of many scans, a PNG with a chunk that claims
            more bytes than there are or with many chunks, or a GIF of many frames.
    """
    try:
        if data.startswith(b"\xff\xd8\xff"):
            _check_jpeg(data)
        elif data.startswith(b"\x89PNG"):
            _check_png(data)
        elif data.startswith(b"GIF8"):
            _check_gif(data)
    except struct.error as error:
        raise UnreadableImageError("it is damaged or cut off") from error


def _check_jpeg(data: bytes) -> None:
    scans = pixels = 0
    for part, (kind, at) in enumerate(_markers(data)):
        if kind in _SIZES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            pixels = max(pixels, height * width)
        scans += kind == _SCAN
        is_long = scans > MAX_SCANS or part > MAX_PARTS
        if is_long or scans * pixels > MAX_SCANNED_PIXELS:
            raise UnreadableImageError(TOO_MANY_SCANS)


def _markers(data: bytes) -> Iterator[tuple[int, int]]:
    """Yields the (second byte, place) of a JPEG's markers, up to its end."""
    at = 2
    while (found := _MARKER.search(data, at)) and data[found.start() + 1] != _END:
        kind, at = data[found.start() + 1], found.start()
        yield kind, at
        has_length = kind >= 0xC0 and kind != 0xD8
        at += 2 + (struct.unpack_from(">H", data, at + 2)[0] if has_length else 0)


def _check_png(data: bytes) -> None:
    """Checks the chunks: libpng takes the memory that one claims."""
    count = 0
    for kind, _, length in islice(chunks_of(data), MAX_CHUNKS + 1):
        count += 1
        if length > len(data):
            raise UnreadableImageError(
                f"it is damaged or cut off (its chunk {kind!r} claims {length} bytes)"
            )
    if count > MAX_CHUNKS:
        raise UnreadableImageError(f"it has more than {MAX_CHUNKS} chunks")


def _check_gif(data: bytes) -> None:
    pixels = 0
    for part, size in enumerate(_gif_parts(data)):
        pixels += size
        if pixels > MAX_FRAME_PIXELS or part > MAX_BLOCKS:
            raise UnreadableImageError(
                f"its frames have more than {MAX_FRAME_PIXELS / 1e6:.0f} megapixels, "
                "or too many parts; convert the first one to PNG"
            )


def _gif_parts(data: bytes) -> Iterator[int]:
    """Yields the pixels of each part of a GIF, 0 for blocks and extensions.

    Source: GIF89a specification, appendix A.
    """
    (flags,) = struct.unpack_from("<10xB", data)
    at, in_blocks = 13 + _table(flags), False
    while at < len(data) and (in_blocks or data[at] in (0x21, 0x2C)):
        size = 0
        if in_blocks:
            in_blocks = data[at] > 0
            at += 1 + data[at]
        elif data[at] == 0x21:
            at, in_blocks = at + 2, True
        else:
            width, height, flags = struct.unpack_from("<5xHHB", data, at)
            size, at, in_blocks = width * height, at + 11 + _table(flags), True
        yield size


def _table(flags: int) -> int:
    """Returns the bytes of a table of colours."""
    return 3 * 2 ** (flags % 8 + 1) if flags >= 128 else 0
