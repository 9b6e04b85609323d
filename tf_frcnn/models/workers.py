"""The processes that train one model together."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

# What TensorFlow says of a step that waits for a worker that is gone.
_ABORTED = "Collective ops is aborted"


class LostWorkerError(RuntimeError):
    """Workers that train together are no longer all there."""


class Workers(NamedTuple):
    """This process among those of a strategy.

    Attributes:
        number: from 0, which is the chief: it alone writes.
        total: number of processes.
    """

    number: int
    total: int

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the files."""
        return self.number == 0

    def rows(self, count: int) -> range:
        """Returns this process's part of so many rows."""
        return range(self.number, count, self.total)


def workers_of(strategy: tf.distribute.Strategy) -> Workers:
    """Returns this process's place among the workers of a strategy."""
    resolver = strategy.cluster_resolver
    spec = resolver.cluster_spec().as_dict() if resolver else {}
    jobs = [(job, task) for job in ("chief", "worker") for task in spec.get(job, [])]
    if len(jobs) < 2:
        return Workers(0, 1)
    before = len(spec.get("chief", [])) if resolver.task_type == "worker" else 0
    return Workers(before + resolver.task_id, len(jobs))


def as_logs(means: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Returns what Keras takes for the logs of a step: of several workers vectors."""
    if workers_of(tf.distribute.get_strategy()).total == 1:
        return means
    return {name: value[tf.newaxis] for name, value in means.items()}


@contextlib.contextmanager
def together(workers: Workers) -> Iterator[None]:
    """Raises a LostWorkerError where another of several workers is gone."""
    try:
        yield
    except tf.errors.OpError as error:
        is_gone = isinstance(error, tf.errors.UnavailableError)
        if workers.total > 1 and (is_gone or _ABORTED in str(error)):
            raise LostWorkerError(
                "Another worker has ended or cannot be reached; what it printed last "
                "tells why."
            ) from error
        raise


def gathered(
    columns: Sequence[np.ndarray], strategy: tf.distribute.Strategy
) -> list[np.ndarray]:
    """Returns the rows of all workers, those of the first worker first.

    Args:
        columns: [n] or [n, m] each, numbers that float64 holds.
        strategy: whose workers all call this at the same time.
    """
    widths = [int(np.prod(column.shape[1:])) for column in columns]
    own = [c.reshape(len(c), width) for c, width in zip(columns, widths, strict=True)]
    table = np.concatenate([np.ones([len(own[0]), 1]), *own], axis=1, dtype=np.float64)
    # A device without rows would end the process: each has one that does not count.
    table = np.concatenate([np.zeros([1, table.shape[1]]), table])
    local = len(strategy.extended.worker_devices)
    value = strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(
            table if context.replica_id_in_sync_group % local == 0 else table[:1]
        )
    )
    whole = strategy.gather(value, axis=0).numpy()
    whole = whole[whole[:, 0] == 1, 1:]
    parts = np.split(whole, np.cumsum(widths)[:-1], axis=1)
    return [
        part.astype(column.dtype).reshape(-1, *column.shape[1:])
        for part, column in zip(parts, columns, strict=True)
    ]
