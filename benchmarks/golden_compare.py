"""What the comparisons with tests/golden share: a row of the table, and graph mode."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

YX = [1, 0, 3, 2]  # x, y, x, y <-> y, x, y, x, of corners and of deltas
SEED = np.int64([0, 0])
EVERYTHING = 10**6  # more samples than there are candidates
LOG_1000_16 = float(np.log(1000 / 16))


class Row(NamedTuple):
    quantity: str
    num_arrays: int
    difference: str
    tolerance: str
    met: bool


def row(quantity, pairs, *, atol=0.0, rtol=0.0):
    """Compares pairs (found, expected); without atol the difference is relative."""
    pairs, largest, met = list(pairs), 0.0, True
    for found, expected in pairs:
        found, expected = np.asarray(found, "float64"), np.asarray(expected, "float64")
        if found.shape != expected.shape:
            return Row(quantity, len(pairs), "shape", "", False)
        both_nan = np.isnan(found) & np.isnan(expected)
        difference = np.where(both_nan, 0, np.abs(found - expected))
        size = np.where(both_nan, 0, np.abs(expected))
        met &= bool(np.all(difference <= atol + rtol * size))
        if rtol and not atol:
            difference = np.divide(difference, size, where=size > 0, out=difference)
        largest = max(largest, difference.max(initial=0))
    parts = [f"{atol:.0e}"] * (atol > 0) + [f"{rtol:.0e} of the value"] * (rtol > 0)
    return Row(quantity, len(pairs), f"{largest:.1e}", " + ".join(parts), met)


def in_graph(function, *inputs, **settings):
    """Returns the function's results as arrays, computed by a `tf.function`."""
    inputs = tf.nest.map_structure(tf.convert_to_tensor, inputs)
    results = tf.function(function, autograph=False)(*inputs, **settings)
    return tf.nest.map_structure(lambda result: result.numpy(), results)


def cases_of(stored):
    """Returns the arrays of every case by their names without the prefix."""
    for number in range(int(stored["n_cases"])):
        prefix = f"case{number}_"
        names = [name for name in stored if name.startswith(prefix)]
        yield {name.removeprefix(prefix): stored[name] for name in names}
