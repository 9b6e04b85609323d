"""The orientation that a camera noted in a JPEG or PNG, read in the graph."""

import tensorflow as tf

from tf_frcnn.data.decoding.byte_fields import attempt, read_number, walk
from tf_frcnn.data.decoding.png_chunks import find_chunk

_ORIENTATION_TAG, _SHORT = 0x0112, 3
# Of a JPEG: far more than precede its pixels. Of a PNG: those of 64 MB of pixels. Few
# enough to be passed quickly.
MAX_SEGMENTS, MAX_CHUNKS = 1000, 2**13


def exif_orientation(data: tf.Tensor) -> tf.Tensor:
    """Reads the EXIF orientation.

    In a PNG, the chunk `eXIf` may lie before or behind the pixels. The orientation is
    one number of type SHORT; a note of another type or count does not count.
    `checks.orientation` has the same rule outside of a graph.

    Args:
        data: string [], an encoded image of any format.

    Returns:
        int64 [] in 1..8; 1 where it is missing or cannot be read.

    Source: Exif 2.3, sections 4.5.4 and 4.6.4; PNG, third edition, section 11.3.2.8.
    """
    upright = tf.constant(1, tf.int64)
    is_png = tf.strings.substr(data, 0, 4) == b"\x89PNG"

    def read(data):
        found, header = tf.cond(is_png, lambda: _in_png(data), lambda: _in_jpeg(data))
        return (tf.cond(found, lambda: _orientation(data, header), lambda: upright),)

    may_have_one = is_png | (tf.strings.substr(data, 0, 3) == b"\xff\xd8\xff")
    (value,) = tf.cond(
        may_have_one,
        lambda: attempt(read, data, (upright,)),
        lambda: (upright,),
    )
    return tf.where((value >= 1) & (value <= 8), value, 1)


def _in_jpeg(data):
    """Returns whether there is an Exif segment, and where its TIFF header begins."""

    def is_exif(at):
        return (tf.strings.substr(data, at, 2) == b"\xff\xe1") & (
            tf.strings.substr(data, at + 4, 6) == b"Exif\0\0"
        )

    def goes_on(at):
        marker = tf.strings.substr(data, at, 2)
        begins = tf.strings.substr(marker, 0, 1) == b"\xff"
        ends = (marker == b"\xff\xda") | (marker == b"\xff\xd9")
        return begins & ~ends & ~is_exif(at)

    def next_segment(at):
        is_filling = tf.strings.substr(data, at, 2) == b"\xff\xff"
        length = read_number(data, at + 2, 2, little=False)
        return at + tf.where(is_filling, tf.ones_like(length), 2 + length)

    at = walk(goes_on, next_segment, 2, MAX_SEGMENTS)
    return is_exif(at), at + 10


def _in_png(data):
    """Returns whether there is an eXIf chunk, and where its TIFF header begins."""
    kind, at = find_chunk(data, (b"eXIf", b"IEND"), MAX_CHUNKS)
    return kind == b"eXIf", at


def _orientation(data, header):
    """Returns the tag's value in the first directory, int64 []; 0 without the tag."""
    little = tf.strings.substr(data, header, 2) == b"II"
    directory = header + read_number(data, header + 4, 4, little=little)
    count = read_number(data, directory, 2, little=little)
    entries = tf.strings.substr(data, directory + 2, 12 * count)
    entries = tf.reshape(tf.io.decode_raw(entries, tf.uint8), [-1, 12])

    def numbers(column, size):
        digits = tf.cast(entries[:, column : column + size], tf.int64)
        places = tf.constant([256**place for place in range(size)], tf.int64)
        places = tf.where(little, places, tf.reverse(places, [0]))
        return tf.reduce_sum(digits * places, axis=1)

    counts = (numbers(0, 2) == _ORIENTATION_TAG) & (numbers(2, 2) == _SHORT)
    counts &= numbers(4, 4) == 1
    return tf.reduce_max(tf.where(counts, numbers(8, 2), 0))
