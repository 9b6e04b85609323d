"""Gradients of our own, which an exported graph does without."""

import contextlib
import contextvars
import functools
from collections.abc import Callable, Iterator

import tensorflow as tf

_LEFT_OUT = contextvars.ContextVar("gradients are left out", default=False)


def own_gradient(function: Callable) -> Callable:
    """Does what `tf.custom_gradient` does, unless gradients are left out.

    Args:
        function: returns its result, and the function of the gradient.
    """

    @functools.wraps(function)
    def call(*inputs):
        if _LEFT_OUT.get():
            return function(*inputs)[0]
        return tf.custom_gradient(function)(*inputs)

    return call


@contextlib.contextmanager
def without_gradients() -> Iterator[None]:
    """Leaves out our gradients of what is traced within.

    A SavedModel that names such gradients and does not hold them makes
    `tf.saved_model.load` warn of each function.
    """
    token = _LEFT_OUT.set(True)
    try:
        yield
    finally:
        _LEFT_OUT.reset(token)
