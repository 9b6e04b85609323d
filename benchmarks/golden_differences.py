"""Prints how far the package is from each stored result of a reference program.

    python benchmarks/golden_differences.py

Reads tests/golden, computes in graph mode on the device that TensorFlow chooses, and
ends with status 1 if a tolerance of tests/golden/README.md is not met.
"""

import sys
from pathlib import Path

import golden_detections
import golden_first_stage
import golden_second_stage
import numpy as np
import tensorflow as tf

GOLDEN = Path(__file__).parents[1] / "tests" / "golden"
MODULES = (golden_first_stage, golden_second_stage, golden_detections)
HEADINGS = ("file", "quantity", "arrays", "largest difference", "tolerance")


def main():
    tf.get_logger().setLevel("ERROR")  # Each case is traced anew.
    print(f"| {' | '.join(HEADINGS)} |\n|{'---|' * len(HEADINGS)}", flush=True)
    rows = []
    for path in sorted(GOLDEN.glob("*.npz")):
        (measure,) = (
            getattr(module, path.stem)
            for module in MODULES
            if hasattr(module, path.stem)
        )
        with np.load(path) as stored:
            of_file = list(measure(dict(stored)))
        for row in of_file:
            print(f"| {' | '.join((f'`{path.stem}`', *cells(row)))} |", flush=True)
        rows += of_file
    num_arrays = sum(row.num_arrays for row in rows)
    num_exact = sum(row.num_arrays for row in rows if row.tolerance == "exact")
    num_missed = sum(not row.met for row in rows)
    print(
        f"\n{num_arrays} arrays, {num_exact} of them to be equal in every value. "
        f"Tolerances not met in {num_missed} of {len(rows)} rows."
    )
    sys.exit(num_missed > 0)


def cells(row):
    difference = row.difference if row.met else f"**{row.difference}**"
    return row.quantity, str(row.num_arrays), difference, row.tolerance


if __name__ == "__main__":
    main()
