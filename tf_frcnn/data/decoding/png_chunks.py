"""The chunks of a PNG, passed one by one in the graph."""

import tensorflow as tf

from tf_frcnn.data.decoding.byte_fields import read_number, walk


def find_chunk(
    data: tf.Tensor, kinds: tuple[bytes, ...], max_chunks: int
) -> tuple[tf.Tensor, ...]:
    """Finds the first chunk of one of some kinds.

    A chunk that claims more bytes than the whole file has is an error, since libpng
    takes the memory that a chunk claims.

    Args:
        data: string [], a PNG.
        kinds: such as b"IDAT".
        max_chunks: as many are passed at most.

    Returns:
        string [], its kind; another one where none is found.
        int64 [], where its content begins.

    Raises:
        tf.errors.InvalidArgumentError: the file ends before it, or a chunk is too long.

    Source: PNG, third edition, section 5.3.
    """
    size = tf.cast(tf.strings.length(data), tf.int64)

    def kind(at):
        return tf.strings.substr(data, at + 4, 4)

    def goes_on(at):
        return tf.reduce_all(kind(at) != tf.constant(kinds))

    def next_chunk(at):
        length = read_number(data, at, 4, little=False)
        with tf.control_dependencies([tf.debugging.Assert(length < size, [length])]):
            return at + 12 + length

    at = walk(goes_on, next_chunk, 8, max_chunks)
    return kind(at), at + 8
