"""Times of a step that two programs are compared by."""

import sys
import time

import numpy as np


def wait_for_turn():
    """Says that all is ready, and waits for a line of the standard input."""
    print("ready", flush=True)
    sys.stdin.readline()


def times_of(step, seconds=3.0):
    """Returns the median of a step's times, and their number."""
    step()
    times, end = [], time.perf_counter() + seconds
    while len(times) < 5 or (time.perf_counter() < end and len(times) < 50):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return {"seconds": round(float(np.median(times)), 5), "steps": len(times)}
