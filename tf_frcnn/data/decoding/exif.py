"""The orientation that a camera noted in a JPEG or PNG, read in the graph."""

import tensorflow as tf

from tf_frcnn.data.decoding.byte_fields import attempt, read_number

_ORIENTATION_TAG = 0x0112
# Far more parts than precede the pixels, and few enough to be passed quickly.
_MAX_PARTS = 1000


def exif_orientation(data: tf.Tensor) -> tf.Tensor:
    """Reads the EXIF orientation.

    In a PNG, a chunk `eXIf` before the pixels counts.

    Args:
        data: string [], an encoded image of any format.

    Returns:
        int64 [] in 1..8; 1 where it is missing or cannot be read.

    Source: Exif 2.3, sections 4.5.4 and 4.6.4; PNG 1.5 extensions, eXIf.
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

    at = _walk(goes_on, next_segment, 2)
    return is_exif(at), at + 10


def _in_png(data):
    """Returns whether there is an eXIf chunk, and where its TIFF header begins."""

    def kind(at):
        return tf.strings.substr(data, at + 4, 4)

    def goes_on(at):
        return (kind(at) != b"eXIf") & (kind(at) != b"IDAT")

    def next_chunk(at):
        return at + 12 + read_number(data, at, 4, little=False)

    at = _walk(goes_on, next_chunk, 8)
    return kind(at) == b"eXIf", at + 8


def _walk(goes_on, step, start):
    (at,) = tf.while_loop(
        goes_on,
        lambda at: (step(at),),
        (tf.constant(start, tf.int64),),
        maximum_iterations=_MAX_PARTS,
    )
    return at


def _orientation(data, header):
    """Returns the tag's value in the first directory, int64 []; 0 without the tag."""
    little = tf.strings.substr(data, header, 2) == b"II"
    directory = header + read_number(data, header + 4, 4, little=little)
    count = read_number(data, directory, 2, little=little)
    entries = tf.strings.substr(data, directory + 2, 12 * count)
    entries = tf.reshape(tf.io.decode_raw(entries, tf.uint8), [-1, 12])
    places = tf.where(little, [1, 256], [256, 1])

    def shorts(column):
        digits = tf.cast(entries[:, column : column + 2], tf.int32)
        return tf.reduce_sum(digits * places, axis=1)

    values = tf.where(shorts(0) == _ORIENTATION_TAG, shorts(8), 0)
    return tf.cast(tf.reduce_max(values), tf.int64)
