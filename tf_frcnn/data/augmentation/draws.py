"""Random numbers that follow from a seed alone."""

import tensorflow as tf


def split_seed(seed: tf.Tensor, number: int) -> list[tf.Tensor]:
    """Returns as many seeds, int64 [2] each, that follow from int64 [2]."""
    seeds = tf.random.stateless_uniform(
        [number, 2], seed, minval=None, maxval=None, dtype=tf.int64, alg="philox"
    )
    return tf.unstack(seeds)


def uniform(
    seed: tf.Tensor, low: float = 0.0, high: float = 1.0, shape: tuple[int, ...] = ()
) -> tf.Tensor:
    """Returns float32 numbers in [low, high), evenly drawn."""
    return tf.random.stateless_uniform(shape, seed, low, high, alg="philox")


def around_one(seed: tf.Tensor, most: float) -> tf.Tensor:
    """Returns float32 [], evenly drawn, that differs from 1 by `most` at most."""
    return uniform(seed, 1.0 - most, 1.0 + most)
