"""What the number of an epoch and an image's place in it decide.

Of the keys [epoch seed, n], n = 0 draws the order, n = 1 + place mirrors the image, and
n = -1 - place draws its short side.
"""

import tensorflow as tf

from tf_frcnn.data.decoding.resizing import Resizing

# The n of other draws; no place comes near them.
_OF_AUGMENTATION, _OF_BALANCE = -(2**62), -(2**62) + 1


def seed_of_epoch(seed: int, epoch: int | tf.Tensor) -> tf.Tensor:
    """Returns int64 [], the seed of all draws in an epoch.

    Args:
        seed: of the run.
        epoch: its number, or a variable of it.
    """
    number = tf.cast(tf.convert_to_tensor(epoch), tf.int64)
    return _draw([seed, number])


def draw_short_side(
    resizing: Resizing, epoch_seed: tf.Tensor, place: tf.Tensor
) -> tf.Tensor:
    """Returns int64 [], one of the short sides, for the image at a place."""
    side = tf.random.stateless_uniform(
        [],
        [epoch_seed, -1 - place],
        maxval=len(resizing.short_sides),
        dtype=tf.int64,
        alg="philox",
    )
    return tf.constant(resizing.short_sides, tf.int64)[side]


def augment_seed_of(epoch_seed: tf.Tensor, place: tf.Tensor) -> tf.Tensor:
    """Returns int64 [2], the seed of the augmentation of the image at a place."""
    return tf.stack([_draw([epoch_seed, _OF_AUGMENTATION]), place])


def balance_seed_of(epoch_seed: tf.Tensor) -> tf.Tensor:
    """Returns int64 [], the seed of how often images come in the epoch."""
    return _draw([epoch_seed, _OF_BALANCE])


def _draw(seed):
    return tf.random.stateless_uniform(
        [], seed, minval=None, maxval=None, dtype=tf.int64, alg="philox"
    )
