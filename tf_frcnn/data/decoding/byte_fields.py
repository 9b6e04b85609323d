"""Numbers in the bytes of a file, read in the graph."""

from collections.abc import Callable

import tensorflow as tf


def read_number(
    data: tf.Tensor, start: tf.Tensor | int, size: int, *, little: tf.Tensor | bool
) -> tf.Tensor:
    """Reads an unsigned number.

    Args:
        data: string [].
        start: integer [], of the first byte.
        size: bytes.
        little: bool [], whether the lowest byte comes first.

    Returns:
        int64 [].

    Raises:
        tf.errors.InvalidArgumentError: the file ends before it.
    """
    digits = tf.io.decode_raw(tf.strings.substr(data, start, size), tf.uint8)
    digits = tf.cast(tf.ensure_shape(digits, [size]), tf.int64)
    digits = tf.where(little, tf.reverse(digits, [0]), digits)
    places = [256**place for place in reversed(range(size))]
    return tf.reduce_sum(digits * tf.constant(places, tf.int64))


def walk(
    goes_on: Callable[[tf.Tensor], tf.Tensor],
    step: Callable[[tf.Tensor], tf.Tensor],
    start: int,
    max_parts: int,
) -> tf.Tensor:
    """Passes the parts of a file.

    Args:
        goes_on: says, bool [], whether the part at a place is to be passed.
        step: returns the place of the next part, int64 [].
        start: of the first part.
        max_parts: as many are passed at most.

    Returns:
        int64 [], the place of the first part that is not passed.
    """
    (at,) = tf.while_loop(
        goes_on,
        lambda at: (step(at),),
        (tf.constant(start, tf.int64),),
        maximum_iterations=max_parts,
    )
    return at


def attempt(
    function: Callable[[tf.Tensor], tuple],
    data: tf.Tensor,
    fallback: tuple[tf.Tensor, ...],
) -> tuple[tf.Tensor, ...]:
    """Applies a function to a file; returns a fallback where an operation fails.

    A graph cannot catch an error; a data set of one element can drop that element.
    Every error counts, even a lack of memory, and nothing tells which it was: an image
    too large for the memory seems damaged.

    Args:
        function: of a string [].
        data: string [].
        fallback: of the function's types, and of shapes that its own are compatible
            with.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    answers = tf.data.Dataset.from_tensors(data).map(function).ignore_errors()
    answers = answers.concatenate(tf.data.Dataset.from_tensors(fallback))
    return answers.take(1).with_options(options).get_single_element()
