"""The chunks of a PNG, passed one by one outside of a graph."""

import struct
from collections.abc import Iterator


def chunks_of(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yields the (kind, start, length) of each chunk's content, up to the end.

    Args:
        data: a PNG; a broken one has fewer chunks.

    Source: PNG, third edition, section 5.3.
    """
    at = 8
    while at + 8 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        yield data[at + 4 : at + 8], at + 8, length
        at += 12 + length
