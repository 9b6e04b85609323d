"""Loops of the graph, and the same without a loop, for runtimes that lack them."""

import contextlib
import contextvars
from collections.abc import Callable, Iterator

import tensorflow as tf

_is_unrolled = contextvars.ContextVar("is_unrolled", default=False)


@contextlib.contextmanager
def unrolled() -> Iterator[None]:
    """Lets what is traced within repeat the operations in place of looping.

    Numbers of rows must then be static.
    """
    token = _is_unrolled.set(True)
    try:
        yield
    finally:
        _is_unrolled.reset(token)


def map_rows(
    function: Callable[[tuple], tuple],
    rows: tuple[tf.Tensor, ...],
    output_signature: tuple[tf.TensorSpec, ...],
) -> tuple[tf.Tensor, ...]:
    """Applies a function of a row of each tensor to all rows, as `tf.map_fn` does."""
    if not _is_unrolled.get():
        return tf.map_fn(function, rows, fn_output_signature=output_signature)
    outputs = map(function, zip(*map(tf.unstack, rows), strict=True))
    return tuple(map(tf.stack, zip(*outputs, strict=True)))


def repeat(
    times: int, step: Callable[[tf.Tensor | int, tf.Tensor], tf.Tensor], total
) -> tf.Tensor:
    """Replaces the total by `step(number, total)` for the numbers 0, 1, ...

    Args:
        times: how often.
        step: gives a tensor of the total's shape and type.
        total: the first total.
    """
    if not _is_unrolled.get():
        return tf.while_loop(
            lambda number, _: number < times,
            lambda number, total: (number + 1, step(number, total)),
            (0, total),
        )[1]
    for number in range(times):
        total = step(number, total)
    return total
