"""Errors of a running graph, as Python's."""

import contextlib
import re
from collections.abc import Iterator

import tensorflow as tf

from tf_frcnn.data.checks.problems import DataError
from tf_frcnn.data.pipeline.tensor_examples import BAD_DATA

# The message of a step that a non-finite loss stopped begins with this.
NON_FINITE_LOSS = "The loss is not finite at step"
_STOPPED = re.compile(rf"assertion failed: \[((?:{BAD_DATA}|{NON_FINITE_LOSS})[^\n]*)")


class NonFiniteLossError(RuntimeError):
    """A loss became NaN or infinite; the message names the step and the images."""


@contextlib.contextmanager
def readable_errors() -> Iterator[None]:
    """Raises what the graph's assertions say, without the graph.

    Raises:
        DataError: of data that a model cannot take.
        NonFiniteLossError: see the class.
    """
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        stopped = _STOPPED.search(error.message)
        if stopped is None:
            raise
        message = stopped[1].replace("] [", " ").rstrip("]")
        if message.startswith(BAD_DATA):
            raise DataError(f"{message.removeprefix(f'{BAD_DATA}: ')}.") from error
        raise NonFiniteLossError(
            f"{message}. The weights are those before this step. Lower the learning "
            "rate, clip the gradients' norm or warm up longer."
        ) from error
