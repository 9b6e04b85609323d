"""A program that does a step whenever it is asked to."""

import argparse
import json
import resource
import sys
import time

NUM_CLASSES = 80


def arguments(names):
    """Returns what `compare.py` asks a program for."""
    parser = argparse.ArgumentParser()
    parser.add_argument("detector", choices=names)
    parser.add_argument("kind", choices=["training", "inference"])
    parser.add_argument("precision", choices=["float32", "bfloat16", "int8"])
    parser.add_argument("canvas", type=int, nargs=2)
    return parser.parse_args()


def answer(step):
    """Answers each line of the input with the seconds of a step and the memory."""
    for _ in sys.stdin:
        start = time.perf_counter()
        step()
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(json.dumps({"seconds": seconds, "peak_gb": peak}), flush=True)
