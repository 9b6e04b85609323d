"""Keras models whose batches several devices divide."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_frcnn.models.batches import Batches
from tf_frcnn.models.replicas import distributed, on_local_devices
from tf_frcnn.models.workers import workers_of


class ReplicatedModel(keras.Model):
    """A Keras model with what Keras lacks where a strategy has several devices."""

    _predict_on_devices: Callable[[Any], dict[str, np.ndarray]] | None = None

    def _maybe_symbolic_build(self, iterator=None, data_batch=None):
        """Creates what is missing without a look at data.

        Keras would add up the devices' batches, which have texts.
        """
        if not self.built:
            self.build()
        optimizer = getattr(self, "optimizer", None)
        if optimizer is not None and not optimizer.built:
            optimizer.build(self.trainable_variables)

    def predict_on_batch(self, x):
        """Returns arrays of the detections of a batch."""
        if not self.has_devices:
            return super().predict_on_batch(x)
        if self._predict_on_devices is None:
            self._predict_on_devices = on_local_devices(
                self.predict_step, self.distribute_strategy
            )
        return self._predict_on_devices(x)

    def make_predict_function(self, force=False):
        """As Keras does; `force` also has the devices' function made again.

        A function that is made again for other settings or canvases is no cause for
        TensorFlow's warning of retracing.
        """
        if force:
            self._predict_on_devices = None
        super().make_predict_function(force)
        self.predict_function._omit_frequent_tracing_warning = True
        return self.predict_function

    @property
    def has_devices(self) -> bool:
        """Whether several devices divide each batch."""
        return self.distribute_strategy.num_replicas_in_sync > 1

    @property
    def is_alone(self) -> bool:
        """Whether neither devices nor workers share a batch."""
        return not self.has_devices and workers_of(self.distribute_strategy).total == 1

    def for_devices(self, batches: Batches) -> Batches:
        """Returns batches that several devices divide, where there are such."""
        is_divided = isinstance(batches.dataset, tf.distribute.DistributedDataset)
        if not self.has_devices or batches.dataset is None or is_divided:
            return batches
        dataset = _require_dataset(batches.dataset)
        divided = distributed(
            dataset, self.distribute_strategy, are_parts=batches.are_parts
        )
        return batches._replace(dataset=divided)

    def predict_in_turn(
        self, data: Any, steps: int | None = None, verbose: Any = 0, callbacks=None
    ) -> dict[str, np.ndarray]:
        """Returns the detections of all batches of a dataset, or of so many.

        Raises:
            ValueError: there are callbacks, or no batches.
        """
        if callbacks:
            raise ValueError("predict: callbacks are for one device; leave them out.")
        batches = _require_dataset(data).take(steps or -1)
        outputs = [self.predict_on_batch(batch) for batch in batches]
        if not outputs:
            raise ValueError("predict: the dataset has no batches.")
        return {
            name: np.concatenate([output[name] for output in outputs])
            for name in outputs[0]
        }


def _require_dataset(data: Any) -> tf.data.Dataset:
    if isinstance(data, tf.data.Dataset):
        return data
    raise ValueError(
        "With several devices the data must be of read_data or a tf.data.Dataset, not "
        f"{type(data).__name__}."
    )
