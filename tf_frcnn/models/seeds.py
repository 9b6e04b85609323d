"""The keys of all random draws in a step."""

from typing import NamedTuple

import tensorflow as tf

# From one seed to the next; the keys of a step lie between them.
_NUM_KEYS = 4


class Seeds(NamedTuple):
    """The keys of a step, int64 [2] each.

    Attributes:
        anchors: of the sample of anchors.
        roi: of the sample of RoIs.
        dropout: of fc6; fc7 takes the one after it.
    """

    anchors: tf.Tensor
    roi: tf.Tensor
    dropout: tf.Tensor


def seeds_of(seed: int, step: tf.Tensor | int) -> Seeds:
    """Returns the keys of a step, which is an int scalar, under a model's seed."""
    keys = [tf.constant(seed * _NUM_KEYS + n, tf.int64) for n in range(3)]
    return Seeds(*(tf.stack([key, tf.cast(step, tf.int64)]) for key in keys))
