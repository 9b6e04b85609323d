"""Batches that several devices, or several workers with devices, divide."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_frcnn.data.pipeline.shards import Shard, filled_places
from tf_frcnn.models.batch import Batch, batch_of
from tf_frcnn.models.workers import workers_of


def num_replicas() -> int:
    """Returns the number of devices that divide a batch."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def replica() -> tf.Tensor | int:
    """Returns the number of this device among them, from 0."""
    context = tf.distribute.get_replica_context()
    return context.replica_id_in_sync_group if context is not None else 0


def reduced(
    step: tuple[dict[str, tf.Tensor], list[tf.Tensor]],
) -> tuple[dict[str, tf.Tensor], list[tf.Tensor]]:
    """Returns the losses' means and the gradients' sums over all devices.

    Args:
        step: losses and gradients of this device, whose loss is its part of the whole.
    """
    losses, gradients = step
    if num_replicas() == 1:
        return step
    context, reduce = tf.distribute.get_replica_context(), tf.distribute.ReduceOp
    sums = context.all_reduce(reduce.SUM, gradients)
    return mean_losses(losses), sums


def mean_losses(losses: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Returns the means of this device's losses and those of the others."""
    if num_replicas() == 1:
        return losses
    context, names = tf.distribute.get_replica_context(), list(losses)
    means = context.all_reduce(
        tf.distribute.ReduceOp.MEAN, [losses[name] for name in names]
    )
    return dict(zip(names, means, strict=True))


def leave_reduced(optimizer: keras.optimizers.Optimizer) -> None:
    """Has an optimizer take gradients as they come.

    Of several devices it would sum them after clipping each device's own.
    """
    own = getattr(optimizer, "inner_optimizer", optimizer)
    own._all_reduce_sum_gradients = list


def filled(data: Any, parts: int) -> Batch:
    """Returns a batch whose images can be divided into equal parts.

    Args:
        data: a batch of B images; see `models.batch`.
        parts: their number.

    Returns:
        Its images, and perhaps some of them again. `image_weights` float32 [B'] are 0
        for those, and B' / B for the others, so that means over all are those of the
        batch.
    """
    batch = batch_of(data)
    batch = batch if isinstance(batch, dict) else {"images": batch}
    places, weights = filled_places(tf.shape(batch["images"])[0], parts)
    whole = {name: tf.gather(v, places) for name, v in batch.items()}
    return whole | {"image_weights": weights}


def shard_of(strategy: tf.distribute.Strategy) -> Shard | None:
    """Returns this worker's place among those of a strategy; None if it is alone."""
    workers = workers_of(strategy)
    if workers.total == 1:
        return None
    devices = strategy.num_replicas_in_sync // workers.total
    return Shard(workers.number, workers.total, devices)


def distributed(
    dataset: tf.data.Dataset, strategy: tf.distribute.Strategy, *, are_parts: bool
) -> Any:
    """Returns batches of which each device gets its part, in order.

    Args:
        dataset: of batches for all devices together, which all workers read whole.
        strategy: of the devices.
        are_parts: whether the batches are this worker's parts already.
    """

    def of_worker(context: tf.distribute.InputContext) -> tf.data.Dataset:
        workers, number = context.num_input_pipelines, context.input_pipeline_id
        devices = context.num_replicas_in_sync // workers

        def divide(*data):
            if are_parts:
                return {name: _parts(v, devices) for name, v in data[0].items()}
            batch = filled(data if len(data) > 1 else data[0], devices * workers)
            return {
                name: _parts(v, workers, devices)[number] for name, v in batch.items()
            }

        return dataset.map(divide).unbatch()

    return strategy.distribute_datasets_from_function(of_worker)


def _parts(values: tf.Tensor, *counts: int) -> tf.Tensor:
    """Returns [*counts, b, ...] of [B, ...]."""
    shape = tf.shape(values)
    size = shape[0] // int(np.prod(counts))
    return tf.reshape(values, tf.concat([[*counts, size], shape[1:]], axis=0))


def on_local_devices(
    step: Callable[[Batch], dict[str, tf.Tensor]], strategy: tf.distribute.Strategy
) -> Callable[[Any], dict[str, np.ndarray]]:
    """Returns a function that divides a batch among the devices of this worker.

    Args:
        step: returns tensors with a row for each image of a batch; nothing in it waits
            for another device.
        strategy: of the devices.
    """

    @tf.function(reduce_retracing=True, autograph=False)
    def run(parts):
        outputs = strategy.run(step, args=(parts,))
        return tf.nest.map_structure(
            lambda value: tf.concat(strategy.experimental_local_results(value), 0),
            outputs,
        )

    devices = len(strategy.extended.worker_devices)

    def call(data: Any) -> dict[str, np.ndarray]:
        batch = filled(data, devices)
        count = int(tf.math.count_nonzero(batch.pop("image_weights")))
        parts = {name: _parts(values, devices) for name, values in batch.items()}
        own = strategy.experimental_distribute_values_from_function(
            lambda context: {
                name: values[context.replica_id_in_sync_group % devices]
                for name, values in parts.items()
            }
        )
        return {name: value.numpy()[:count] for name, value in run(own).items()}

    return call
