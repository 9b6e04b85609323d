"""Encoded images of requests: refused with a reason, or decoded, in the graph."""

import re

import tensorflow as tf

from tf_frcnn.data.decoding.byte_fields import attempt, read_number
from tf_frcnn.data.decoding.exif import exif_orientation
from tf_frcnn.data.decoding.gif import first_frame
from tf_frcnn.data.decoding.jpeg_scans import TOO_MANY_SCANS, has_too_many_scans
from tf_frcnn.data.decoding.png_chunks import find_chunk
from tf_frcnn.data.decoding.transforms import decode_image, turn_upright

_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_GIF, _BMP = b"GIF8", b"BM"
# Those of a PNG of 256 MB; passing them takes a second at most.
MAX_CHUNKS = 2**15
# The message of a refusal is "NAME: REASON".
_REFUSAL = re.compile(r"assertion failed: \[[^:\]]*: ([^\]]*)\]")


def decode_or_refuse(data: tf.Tensor, name: tf.Tensor, max_pixels: int) -> tf.Tensor:
    """Decodes an image as `transforms.decode_image` does, and turns it upright.

    The size that its header claims, a PNG's chunks and a JPEG's scans are checked
    before memory and time are taken for its pixels.

    Args:
        data: string [], a JPEG, PNG, BMP or GIF, of which the first frame counts and
            must fill the screen.
        name: string [], its name in messages.
        max_pixels: largest product of height and width.

    Returns:
        uint8 [h, w, 3], RGB.

    Raises:
        tf.errors.InvalidArgumentError: it is empty, too large, of another format or
            damaged; the message has its name and the reason.
    """
    is_known = tf.reduce_any([_begins(data, m) for m in (_JPEG, _PNG, _GIF, _BMP)])
    checks = [
        refuse(tf.strings.length(data) == 0, name, "it is empty"),
        refuse(~is_known, name, "it is not a JPEG, PNG, BMP or GIF"),
    ]
    with tf.control_dependencies(checks):
        image, size, is_slow = attempt(
            lambda data: _decode(data, max_pixels), tf.identity(data), _nothing()
        )
    too_large = tf.reduce_prod(size) > max_pixels
    decoded = tf.shape(image, tf.int64)[:2]
    is_part = (tf.size(image) > 0) & tf.reduce_any(decoded != size)
    checks = [
        refuse(too_large, name, _says(size, max_pixels)),
        refuse(is_slow, name, TOO_MANY_SCANS),
        refuse(is_part, name, "its first frame does not fill its screen"),
        refuse(
            ~too_large & ~is_slow & (tf.size(image) == 0),
            name,
            "it cannot be decoded: it is damaged, cut off or of an unsupported kind, "
            "such as a BMP with a palette",
        ),
    ]
    with tf.control_dependencies(checks):
        image = tf.ensure_shape(image, [None, None, 3])
    return turn_upright(image, exif_orientation(data))


def refuse(is_bad: tf.Tensor, name, reason) -> tf.Operation:
    """Makes a request fail as INVALID_ARGUMENT; returns the operation to run first.

    Args:
        is_bad: bool [].
        name, reason: string [] each; the message is "NAME: REASON".
    """
    return tf.debugging.Assert(~is_bad, [tf.strings.join([name, ": ", reason])])


def reason_of(error: tf.errors.InvalidArgumentError) -> str | None:
    """Returns the reason of a refusal, None for another error."""
    found = _REFUSAL.search(error.message)
    return None if found is None else found[1]


def _begins(data, magic):
    return tf.strings.substr(data, 0, len(magic)) == magic


def _says(size, max_pixels):
    sides = tf.strings.as_string(size)
    return tf.strings.join(
        [
            *("its header claims ", sides[0], " x ", sides[1]),
            f" pixels (height x width), more than the {max_pixels / 1e6:g} megapixels "
            "allowed",
        ]
    )


def _nothing():
    none = tf.zeros([0, 0, 3], tf.uint8)
    return none, tf.zeros([2], tf.int64), tf.constant(False)


def _decode(data, max_pixels):
    """Returns the image, its claimed size, and whether it has too many scans.

    The image is empty if it is too large or has too many scans.
    """
    is_gif = _begins(data, _GIF)
    data, size = tf.cond(
        is_gif, lambda: first_frame(data), lambda: (data, _claimed_size(data))
    )
    size = tf.minimum(tf.ensure_shape(size, [2]), 2**31)  # Their product has 64 bits.
    pixels = tf.reduce_prod(size)
    is_slow = tf.cond(
        _begins(data, _JPEG) & (pixels <= max_pixels),
        lambda: has_too_many_scans(data, pixels),
        lambda: tf.constant(False),
    )
    image = tf.cond(
        (pixels > max_pixels) | is_slow,
        lambda: _nothing()[0],
        lambda: decode_image(data, tf.constant(1)),
    )
    return tf.ensure_shape(image, [None, None, 3]), size, is_slow


def _claimed_size(data):
    """Returns int64 [2], the (height, width) in the header of a JPEG, PNG or BMP."""

    def of_jpeg():
        return tf.cast(tf.io.extract_jpeg_shape(data)[:2], tf.int64)

    def of_png():
        # All chunks are passed, so that none claims more than the file has.
        kind, _ = find_chunk(data, (b"IEND",), MAX_CHUNKS)
        with tf.control_dependencies([tf.debugging.Assert(kind == b"IEND", [kind])]):
            width, height = (read_number(data, at, 4, little=False) for at in (16, 20))
        return tf.stack([height, width])

    def of_bmp():
        # TensorFlow takes a palette's indices for brightness and raises no error.
        bits = read_number(data, 28, 2, little=True)
        with tf.control_dependencies([tf.debugging.Assert(bits >= 24, [bits])]):
            width, height = (read_number(data, at, 4, little=True) for at in (18, 22))
        # A negative height stands for rows from top to bottom.
        return tf.stack([tf.minimum(height, 2**32 - height), width])

    return tf.case(
        [(_begins(data, _JPEG), of_jpeg), (_begins(data, _PNG), of_png)],
        default=of_bmp,
    )
