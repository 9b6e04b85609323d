"""What the comparisons with tests/golden share: a row of the table, and graph mode."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

YX = [1, 0, 3, 2]  # x, y, x, y <-> y, x, y, x, of corners and of deltas
SEED = np.int64([0, 0])
EVERYTHING = 10**6  # more samples than there are candidates
LOG_1000_16 = float(np.log(1000 / 16))


class Row(NamedTuple):
    """A row of the table: the largest difference over several arrays."""

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
            shapes = f"{found.shape} for {expected.shape}"
            return Row(quantity, len(pairs), shapes, "", False)
        both_nan = np.isnan(found) & np.isnan(expected)
        difference = np.where(both_nan, 0, np.abs(found - expected))
        difference = np.nan_to_num(difference, nan=np.inf)
        size = np.nan_to_num(np.abs(expected))
        met &= bool(np.all(difference <= atol + rtol * size))
        if rtol and not atol:
            difference = difference / np.where(size > 0, size, 1)
        largest = max(largest, difference.max(initial=0))
    parts = [f"{atol:.0e}"] * (atol > 0) + [f"{rtol:.0e} of the value"] * (rtol > 0)
    tolerance = " + ".join(parts) or "exact"
    return Row(
        quantity, len(pairs), f"{largest:.1e}" if largest else "0", tolerance, met
    )


def in_graph(function, *inputs, **settings):
    """Returns the function's results as arrays, computed by a `tf.function`."""
    inputs = tf.nest.map_structure(tf.convert_to_tensor, inputs)
    results = tf.function(function, autograph=False)(*inputs, **settings)
    return tf.nest.map_structure(lambda result: result.numpy(), results)


def case_of(stored, prefix):
    """Returns the arrays of one case by their names without the prefix."""
    names = [name for name in stored if name.startswith(prefix)]
    return {name.removeprefix(prefix): stored[name] for name in names}


def cases_of(stored):
    """Yields the arrays of every case as `case_of` does."""
    for number in range(int(stored["n_cases"])):
        yield case_of(stored, f"case{number}_")
