"""Golden files: their arrays, and comparisons that keep what they measured."""

import functools
from types import MappingProxyType

import numpy as np

from tests.helpers.paths import GOLDEN

PROPERTY = "golden"  # Of a test's report.


@functools.cache
def load_golden(name):
    """Returns the arrays of `tests/golden/<name>.npz` by name."""
    with np.load(GOLDEN / f"{name}.npz", allow_pickle=False) as arrays:
        return MappingProxyType(dict(arrays))


def golden_cases(name, *, without=None):
    """Returns "case0", "case1" ... of a file, except the one of the name given."""
    stored = load_golden(name)
    cases = [f"case{number}" for number in range(int(stored["n_cases"]))]
    return [case for case in cases if str(stored.get(f"{case}_name")) != without]


def case_named(name, case_name):
    """Returns the case, "case0" ..., that a file gives this name."""
    (case,) = (
        case
        for case in golden_cases(name)
        if load_golden(name)[f"{case}_name"] == case_name
    )
    return case


class GoldenFile(dict):
    """The arrays of a golden file by name; compares results with them."""

    def __init__(self, file, properties):
        super().__init__(load_golden(file))
        self._file, self._properties = file, properties

    def compare(self, quantity, name, found, expected=None, *, atol=0.0, rtol=0.0):
        """Asserts that a result equals a stored array, and records the difference.

        Args:
            quantity: the row of the table in docs/references.md.
            name: the stored array.
            found: our result.
            expected: the stored array in our order, if that is another.
            atol: tolerance; without any tolerance all values must be equal.
            rtol: tolerance as a part of the expected value.
        """
        expected = self[name] if expected is None else expected
        found, expected = np.asarray(found), np.asarray(expected)
        difference = largest_difference(found, expected, relative=rtol and not atol)
        values = (self._file, quantity, name, difference, float(atol), float(rtol))
        self._properties.append((PROPERTY, values))
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=rtol, atol=atol, err_msg=name)


def largest_difference(found, expected, *, relative=False):
    """Returns the largest difference of two arrays; NaN equals NaN."""
    if found.shape != expected.shape:
        return np.inf
    found, expected = found.astype(np.float64), expected.astype(np.float64)
    difference = np.where(
        np.isnan(found) & np.isnan(expected), 0, np.abs(found - expected)
    )
    if relative:
        size = np.abs(expected)
        difference = difference / np.where(size > 0, size, 1)
    return float(np.nan_to_num(difference, nan=np.inf).max(initial=0))
