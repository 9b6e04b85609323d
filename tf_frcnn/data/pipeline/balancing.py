"""How often each image comes in an epoch: rare classes and images without objects."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tf_frcnn.data.checks.problems import DataError
from tf_frcnn.data.examples import ExampleSet, Record, shuffled


class Balance(NamedTuple):
    """The mean number of times that each image comes in an epoch.

    Attributes:
        rates: float64 [n], their sum is a whole number: that of every epoch's images.
        negative: bool [n], whether an image has no object to learn.
        class_factors: float64 [K], repeat factor of each class, 1 without repetition.
    """

    rates: np.ndarray
    negative: np.ndarray
    class_factors: np.ndarray

    def report(self, class_names: Sequence[str]) -> dict[str, Any]:
        """Returns what comes how often, as JSON can hold it.

        Args:
            class_names: K names.
        """
        pairs = zip(class_names, self.class_factors.tolist(), strict=True)
        return {
            "images": len(self.rates),
            "images_per_epoch": self.num_images,
            "repeated_images": int((self.rates > 1.0).sum()),
            "most_often": float(self.rates.max()),
            "class_factors": {n: factor for n, factor in pairs if factor > 1.0},
            "negatives": int(self.negative.sum()),
            "negatives_per_epoch": round(float(self.rates[self.negative].sum())),
        }

    @property
    def num_images(self) -> int:
        """The number of images of an epoch, repeated ones counted as often."""
        return round(float(self.rates.sum()))

    def counts(self, seed: tf.Tensor) -> tf.Tensor:
        """Draws how often each image comes in one epoch.

        An image of the rate 2.3 comes two or three times, 2.3 times on average. The
        total is always `num_images`.

        Args:
            seed: int64 [], decides the draw.

        Returns:
            int64 [n].

        Source: systematic sampling, in an order that is drawn anew; images without
            objects come last in it, so that their number is the same to within one.
        """
        place = tf.range(len(self.rates), dtype=tf.int64)
        order = tf.gather(place, shuffled(place, seed))
        negative = tf.cast(tf.gather(tf.constant(self.negative), order), tf.int32)
        order = tf.gather(order, tf.argsort(negative, stable=True))
        ends = tf.cumsum(tf.gather(tf.constant(self.rates, tf.float64), order))
        total = tf.constant([self.num_images], tf.float64)
        ends = tf.concat([tf.minimum(ends[:-1], total), total], axis=0)
        start = tf.random.stateless_uniform(
            [], tf.stack([seed, tf.ones_like(seed)]), dtype=tf.float64, alg="philox"
        )
        marks = tf.cast(tf.floor(ends + start), tf.int64)
        counts = marks - tf.concat([[0], marks[:-1]], axis=0)
        return tf.scatter_nd(order[:, tf.newaxis], counts, tf.shape(place, tf.int64))


def balance(
    examples: ExampleSet,
    *,
    repeat_below: float | None = None,
    max_negatives: float | None = None,
    drop_difficult: bool = False,
) -> Balance:
    """Returns how often the images of a set come.

    An image's repeat factor is the largest of its classes', and that of a class
    max(1, sqrt(repeat_below / share of images that have it)).

    Args:
        examples: the data set of n images.
        repeat_below: share of images below which a class is rare; None for none.
        max_negatives: largest share of images without objects, below 1; None for any.
        drop_difficult: whether objects marked difficult are not learned.

    Raises:
        DataError: no image has an object, and none without may come.

    Source: Gupta et al. 2019 (LVIS), repeat factor sampling.
    """
    labels = [_learned(record, drop_difficult) for record in examples.records]
    factors = np.ones(len(examples.class_names))
    if repeat_below is not None:
        factors = _class_factors(labels, len(factors), repeat_below)
    rates = np.array([factors[own].max(initial=1.0) for own in labels])
    more = rates.sum() - len(rates)
    if more:  # A whole number more, of the repeated ones alone.
        rates = 1.0 + (rates - 1.0) * np.round(more) / more
    negative = np.array([not len(own) for own in labels], bool)
    if max_negatives is not None and negative.any():
        allowed = rates[~negative].sum() * max_negatives / (1.0 - max_negatives)
        rates[negative] = min(1.0, np.floor(allowed) / negative.sum())
    if not rates.any():
        raise DataError(
            f"data.max_negatives = {max_negatives} leaves no image of {examples.name}: "
            "none has an object to learn."
        )
    return Balance(rates, negative, factors)


def _learned(record: Record, drop_difficult: bool) -> np.ndarray:
    """Returns the labels of an image, each once."""
    are_learned = ~record.crowd & (~record.difficult | (not drop_difficult))
    return np.unique(record.labels[are_learned])


def _class_factors(
    labels: Sequence[np.ndarray], num_classes: int, repeat_below: float
) -> np.ndarray:
    counts = np.bincount(np.concatenate(labels), minlength=num_classes)
    shares = np.maximum(counts, 1) / len(labels)
    return np.where(counts, np.maximum(1.0, np.sqrt(repeat_below / shares)), 1.0)
