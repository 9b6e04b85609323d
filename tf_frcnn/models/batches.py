"""Data on their way into Keras: what is known of them, and where they end."""

import contextlib
import os
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import tensorflow as tf

from tf_frcnn.data.checks.problems import DataError
from tf_frcnn.data.examples import ExampleSet
from tf_frcnn.data.pipeline.streams import Stream
from tf_frcnn.data.pipeline.tensor_examples import is_of_batches
from tf_frcnn.models.batch import require_objects

# How Keras's warning of data that end begins.
_RAN_OUT = "Your input ran out of data"


class Batches(NamedTuple):
    """Batches of a data set.

    Attributes:
        dataset: the batches; in training endless, unless it is of a stream.
        steps: number of batches per pass; None where it is not known.
        num_images: number of images per pass; None where it is not known.
        stream: where the dataset is one of single examples.
        are_parts: whether they are a worker's parts of batches.
    """

    dataset: Any
    steps: int | None = None
    num_images: int | None = None
    stream: Stream | None = None
    are_parts: bool = False

    def limited_to(self, steps: int | None, batch_size: int) -> "Batches":
        """Returns training batches whose number per epoch is given.

        Those of an example set become one pass, which begins anew in each epoch; those
        of a stream go on where the last epoch ended.

        Args:
            steps: batches per epoch; None for a whole pass.
            batch_size: most images per batch.
        """
        if self.stream is not None:
            if not steps:
                return self
            return self._replace(steps=steps, num_images=steps * batch_size)
        count: int = steps or self.steps  # type: ignore[assignment]
        known = tf.data.experimental.assert_cardinality(count)
        return Batches(
            self.dataset.take(count).apply(known),
            count,
            round(count * self.images_per_step(batch_size)),
            are_parts=self.are_parts,
        )

    def after(self, skipped: tf.Variable) -> "Batches":
        """Returns the batches without those at the beginning of a pass.

        Args:
            skipped: int64 [], their number; read when a pass begins.
        """
        whole = tf.data.Dataset.from_tensors(0)
        dataset: Any = whole.flat_map(lambda _: self.dataset.skip(skipped))
        # Keras would take the number of the first pass for that of all.
        dataset.cardinality = self.dataset.cardinality
        return self._replace(dataset=dataset)

    def with_objects(self) -> "Batches":
        """Returns the batches; raises a DataError if they have images alone."""
        if self.stream is not None:
            self.stream.require_objects()
        elif isinstance(self.dataset, tf.data.Dataset):
            require_objects(self.dataset.element_spec)
        return self

    def images_per_step(self, batch_size: int) -> float:
        """Returns the mean number of images per batch, as far as it is known."""
        if self.num_images is None or self.steps is None:
            return batch_size
        return self.num_images / self.steps

    def report_left_out(self) -> None:
        """Warns of boxes that had no area, once the batches were read."""
        count = 0 if self.stream is None else int(self.stream.left_out)
        if count:
            warnings.warn(
                f"{count} boxes have no area within their images and were left out.",
                stacklevel=3,
            )


def is_raw(data: Any) -> bool:
    """Returns whether data consist of single images, not of batches."""
    if isinstance(data, ExampleSet):
        return True
    return isinstance(data, tf.data.Dataset) and not is_of_batches(data)


def check_data(data: Any, **steps: int | None) -> None:
    """Raises a DataError for paths, and for what never ends.

    Args:
        data: of any kind.
        **steps: an argument's name, and how many batches it asks for; None for all of
            a dataset, which then must not be endless.
    """
    items = data if isinstance(data, list | tuple) else [data]
    paths = [item for item in items if isinstance(item, str | os.PathLike)]
    if paths:
        raise DataError(
            f"{paths[0]} is a path. tf_frcnn.read_data(reader, folder, split) reads a "
            "folder of annotated images, and detect([...]) takes files of images."
        )
    is_endless = isinstance(data, tf.data.Dataset) and int(data.cardinality()) == -1
    if is_endless and not any(steps.values()):
        fixes = " or ".join([*steps, "dataset.take(n)"])
        raise DataError(f"The dataset is endless: give {fixes}.")


@contextlib.contextmanager
def end_is_expected(steps: int | None = None) -> Iterator[None]:
    """Hides Keras's warning that data have ended, if they are to be read to the end.

    Args:
        steps: batches that are asked for; None for all.
    """
    patterns = [getattr(entry[1], "pattern", "") for entry in warnings.filters]
    # A second context within the first would forget which warnings were shown.
    if steps is not None or _RAN_OUT in patterns:
        yield
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", _RAN_OUT)
        yield
