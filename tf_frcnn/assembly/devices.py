"""The devices that a configuration trains on."""

import functools
import json
import os

import tensorflow as tf

from tf_frcnn.config import Config, ConfigError


def build_strategy(config: Config) -> tf.distribute.Strategy:
    """Returns how devices divide the batches; the same one at every call.

    It must be called before TensorFlow is used otherwise, since several workers find
    each other first.

    Raises:
        ConfigError: there are to be several workers, but TF_CONFIG does not name them.
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
    if not _names_workers(text := os.environ.get("TF_CONFIG", "")):
        raise ConfigError(
            f"The environment variable TF_CONFIG = {text!r}: train.strategy = "
            "'multi_worker' needs the addresses of all workers and this one's place in "
            "it, as JSON; see docs/distributed.md.",
            "train.strategy",
        )
    return tf.distribute.MultiWorkerMirroredStrategy()


def _names_workers(text: str) -> bool:
    try:
        names = json.loads(text)
        return bool(names["cluster"]) and {"type", "index"} <= names["task"].keys()
    except (ValueError, KeyError, TypeError, AttributeError):
        return False
