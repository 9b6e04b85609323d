"""The keys of all random draws in a step."""

from typing import NamedTuple

import tensorflow as tf

# From one seed to the next; the keys of a step lie between them. Those of a cascade's
# later heads lie beyond them, within the 32 bits that XLA takes of a key.
_NUM_KEYS, _NEXT_HEAD = 4, 2**28


class Turn(NamedTuple):
    """What a step of training is known by, wherever and in how many parts it is done.

    Attributes:
        step: int scalar, of the updates of the weights.
        place: int scalar, of the first image in the whole batch of that update, which
            several devices, or several steps that accumulate gradients, divide.
    """

    step: tf.Tensor | int
    place: tf.Tensor | int = 0


class Seeds(NamedTuple):
    """The seeds of a step, int64 [3] each; see `ops.sampling.random_keys`.

    Attributes:
        anchors: of the sample of anchors.
        roi: of the sample of RoIs.
        dropout: of fc6; fc7 takes the one after it.
    """

    anchors: tf.Tensor
    roi: tf.Tensor
    dropout: tf.Tensor


def seeds_of(seed: int, turn: Turn | tf.Tensor | int) -> Seeds:
    """Returns the seeds of a step under a model's seed.

    Args:
        seed: of the model.
        turn: or the step alone, of a batch that is not divided.
    """
    turn = turn if isinstance(turn, Turn) else Turn(turn)
    keys = [tf.constant(seed * _NUM_KEYS + n, tf.int64) for n in range(3)]
    own = [tf.cast(number, tf.int64) for number in turn]
    return Seeds(*(tf.stack([key, *own]) for key in keys))


def seeds_of_head(seeds: Seeds, number: int) -> Seeds:
    """Returns the seeds of a cascade's head; the first, 0, has those of the step."""
    offset = tf.constant([number * _NEXT_HEAD, 0, 0], tf.int64)
    return Seeds(*(seed + offset for seed in seeds))
