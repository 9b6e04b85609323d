"""Errors of a running graph, as Python's."""

import contextlib
import re
from collections.abc import Iterator

import tensorflow as tf

from tf_frcnn.data.checks.problems import DataError
from tf_frcnn.data.pipeline.tensor_examples import BAD_DATA

# The message of a step with a loss or a gradient that is not finite begins with this.
NON_FINITE = "Not finite at step"
# In it, where several devices divide the batch: their weights have moved.
OF_ONE_DEVICE = "those of one device are"
# What an assertion of a graph says, and one that was run eagerly.
_IN_GRAPH = re.compile(r"assertion failed: \[([^\n]*)\]")
# What a function of Python says in a graph.
_IN_PYTHON = re.compile(rf"ValueError: ((?:{BAD_DATA}:|{NON_FINITE}) [^\n]*)")
_EAGERLY = re.compile(r"Summarized data: (.*)", re.DOTALL)


class NonFiniteError(RuntimeError):
    """A loss or gradient became NaN or infinite; the message names step and images."""


@contextlib.contextmanager
def readable_errors() -> Iterator[None]:
    """Raises what the graph's assertions say, without the graph.

    Raises:
        DataError: of data that a model cannot take.
        NonFiniteError: see the class.
    """
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        message = _said_by(error.message)
        if message.startswith(BAD_DATA):
            raise DataError(f"{message.removeprefix(f'{BAD_DATA}: ')}.") from error
        if message.startswith(NON_FINITE):
            weights = "The weights are those before this step"
            if OF_ONE_DEVICE in message:
                weights = "The weights have moved: take those of the last checkpoint"
            raise NonFiniteError(
                f"{message}. {weights}. Lower the learning rate, clip the gradients' "
                "norm or warm up longer."
            ) from error
        raise


def _said_by(message: str) -> str:
    """Returns what was given to the assertion that an error's message tells of."""
    if in_graph := _IN_GRAPH.search(message):
        return in_graph[1].replace("] [", " ")
    if in_python := _IN_PYTHON.search(message):
        return in_python[1]
    eagerly = _EAGERLY.search(message)
    parts = eagerly[1].splitlines() if eagerly else []
    return " ".join(re.sub(r"\bb(['\"])(.*?)\1", r"\2", part) for part in parts)
