"""The devices that a configuration trains on."""

import functools
import os

import tensorflow as tf

from tf_frcnn.config import Config, ConfigError


def build_strategy(config: Config) -> tf.distribute.Strategy:
    """Returns how devices divide the batches; the same one at every call.

    It must be called before TensorFlow is used otherwise, since several workers find
    each other first.

    Raises:
        ConfigError: there are to be several workers, but TF_CONFIG is not set.
    """
    return _strategy(config.train.strategy)


@functools.cache
def _strategy(name: str) -> tf.distribute.Strategy:
    if name == "none":
        return tf.distribute.get_strategy()
    if name == "mirrored":
        devices = [tf.config.list_logical_devices(kind) for kind in ("GPU", "CPU")]
        return tf.distribute.MirroredStrategy(
            [device.name for device in devices[0] or devices[1]]
        )
    if "TF_CONFIG" not in os.environ:
        raise ConfigError(
            "train.strategy = 'multi_worker' needs the environment variable TF_CONFIG, "
            "which names all workers and this one's place; see docs/distributed.md.",
            "train.strategy",
        )
    return tf.distribute.MultiWorkerMirroredStrategy()
