"""The first frame of a GIF, cut out in the graph."""

import tensorflow as tf

from tf_frcnn.data.decoding.byte_fields import read_number

# Enough for 30 MB of pixels in blocks of 255 bytes.
MAX_BLOCKS = 2**17
_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, b";"


def first_frame(data: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Cuts a GIF off after its first frame, and reads the size that it claims.

    TensorFlow's decoder would take the memory of all frames.

    Args:
        data: string [], a GIF.

    Returns:
        string [], a GIF of one frame; broken where `data` is broken up to there.
        int64 [2], the larger of the screen's and the frame's (height, width) in pixels.

    Raises:
        tf.errors.InvalidArgumentError: the file ends before the screen's size or the
            frame's.

    Source: GIF89a specification, appendix A.
    """
    values = tf.io.decode_raw(data, tf.uint8)
    length = tf.size(values, tf.int64)

    def byte(at):
        value = values[tf.minimum(tf.cast(at, tf.int64), length - 1)]
        return tf.cast(value, tf.int64)

    def size_at(at):
        sides = (read_number(data, at + shift, 2, little=True) for shift in (2, 0))
        return tf.stack([*sides])

    def table_size(flags):
        entries = tf.bitwise.left_shift(tf.constant(2, tf.int64), flags % 8)
        return tf.where(flags >= 128, 3 * entries, 0)

    def goes_on(at, in_blocks, image):
        is_known = (byte(at) == _EXTENSION) | (byte(at) == _IMAGE)
        return (at < length) & (in_blocks | (is_known & (image == 0)))

    def step(at, in_blocks, image):
        is_image = ~in_blocks & (byte(at) == _IMAGE)
        of_image = 11 + table_size(byte(at + 9))
        skip = tf.where(in_blocks, 1 + byte(at), tf.where(is_image, of_image, 2))
        image = tf.where(is_image, at, image)
        return at + skip, ~in_blocks | (byte(at) > 0), image

    start = 13 + table_size(byte(10))
    end, _, image = tf.while_loop(
        goes_on,
        step,
        (start, tf.constant(False), tf.constant(0, tf.int64)),
        maximum_iterations=MAX_BLOCKS,
    )
    screen, frame = size_at(6), tf.where(image > 0, size_at(image + 5), 0)
    return tf.strings.substr(data, tf.zeros_like(end), end) + _TRAILER, tf.maximum(
        screen, frame
    )
