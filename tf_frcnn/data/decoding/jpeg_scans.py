"""The scans of a JPEG, counted in the graph before it is decoded.

Each scan passes over all pixels, however few bytes it has: 500 scans of 50 megapixels
fit into 300 kB and take 20 seconds. Photographs have 1 scan, or, progressive, about 10.
"""

import tensorflow as tf

from tf_frcnn.data.decoding.byte_fields import read_number

# Scans times pixels: 10 of 107 megapixels, 44 of 24 megapixels; a second of decoding.
MAX_SCANNED_PIXELS = 2**30
# Of an image of any size; and of segments, with the pieces in which scans are searched.
MAX_SCANS, MAX_PARTS = 1000, 2**11
TOO_MANY_SCANS = (
    "it is a JPEG of so many scans or parts that it would take long to decode; save it "
    "anew, not progressive"
)
_PIECE = 2**18  # bytes
_SCAN, _END = 0xDA, 0xD9


def has_too_many_scans(data: tf.Tensor, pixels: tf.Tensor) -> tf.Tensor:
    """Says whether a JPEG takes longer to decode than its size justifies.

    Args:
        data: string [], a JPEG.
        pixels: int64 [], of the image.

    Returns:
        bool [].

    Raises:
        tf.errors.InvalidArgumentError: the file ends within a segment's length.

    Source: ITU-T T.81, annex B; how decoders pass over damage is that of
        libjpeg-turbo:jdmarker.c.
    """
    size = tf.cast(tf.strings.length(data), tf.int64)
    pixels = tf.maximum(pixels, 1)
    limit = tf.minimum(MAX_SCANNED_PIXELS // pixels, MAX_SCANS)

    def goes_on(at, scans):
        return (at < size - 1) & (scans <= limit)

    def step(at, scans):
        at, kind = _next_marker(data, at)
        skip = tf.cond(
            (kind >= 0xC0) & (kind != 0xD8) & (kind != _END),
            lambda: 2 + read_number(data, at + 2, 2, little=False),
            lambda: 2 * tf.cast(kind > 0, tf.int64),
        )
        is_scan = tf.cast(kind == _SCAN, tf.int64)
        return tf.where(kind == _END, size, at + skip), scans + is_scan

    start = (tf.constant(2, tf.int64), tf.constant(0, tf.int64))
    at, scans = tf.while_loop(goes_on, step, start, maximum_iterations=MAX_PARTS)
    return (scans > limit) | (at < size - 1)


def _next_marker(data, at):
    """Returns where the next marker begins, and its second byte; 0: none in a piece."""
    is_near = tf.strings.substr(data, at, 1) == b"\xff"  # Segments follow each other.
    size = tf.where(is_near, tf.constant(min(64, _PIECE), tf.int64), _PIECE)
    piece = tf.io.decode_raw(tf.strings.substr(data, at, size), tf.uint8)
    second = piece[1:]
    is_restart = (second >= 0xD0) & (second <= 0xD7)
    is_marker = (piece[:-1] == 255) & (second > 0) & (second < 255) & ~is_restart
    place = tf.argmax(tf.cast(is_marker, tf.uint8))
    kind = tf.where(is_marker[place], tf.cast(second[place], tf.int32), 0)
    return at + tf.where(kind > 0, place, tf.size(second, tf.int64)), kind
