"""Functions of the graph as Python runs them."""

import contextlib

import tensorflow as tf


@contextlib.contextmanager
def eagerly():
    """Has TensorFlow trace no function, which takes longer than to run it once."""
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)
