"""Measures time and memory of every RoI pooling, with and without XLA.

    python benchmarks/roi_pooling.py
    python benchmarks/roi_pooling.py --methods pool align --sizes "38x50, 128 RoIs"

Each row has its own process, on Linux. A time is the fastest of several calls. The
memory is the peak of the process above what it held before the first call, which has
the maps and TensorFlow; under XLA that includes compiling. Compare numbers of one
machine only.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import tensorflow as tf
from machine import machine

from tf_frcnn.layers import RoIPooling
from tf_frcnn.ops.roi_levels import assign_levels

# Rows, columns and stride of each map, channels, RoIs.
ONE_MAP = [(38, 50, 16)]
PYRAMID = [(200, 272, 4), (100, 136, 8), (50, 68, 16), (25, 34, 32)]
SIZES = {
    "38x50, 128 RoIs": (ONE_MAP, 512, 128),
    "38x50, 300 RoIs": (ONE_MAP, 512, 300),
    "P2..P5, 512 RoIs": (PYRAMID, 256, 512),
    "P2..P5, 1000 RoIs": (PYRAMID, 256, 1000),
}
METHODS = {
    "crop": {"method": "crop"},
    "pool": {"method": "pool"},
    "align": {"method": "align"},
    "align, ceil(side / S) samples": {"method": "align", "sampling_ratio": 0},
}
HEADINGS = ("maps", "method", "XLA", "forward", "both", "memory", "memory, both")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--methods", nargs="*", default=METHODS, choices=METHODS)
    parser.add_argument("--sizes", nargs="*", default=SIZES, choices=SIZES)
    parser.add_argument("--calls", type=int, default=7)
    parser.add_argument("--row", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row:
        print(json.dumps(measure(*options.row, options.calls)))
        return

    print(f"{machine()}\n")
    print(f"| {' | '.join(HEADINGS)} |\n|{'---|' * len(HEADINGS)}", flush=True)
    for size in options.sizes:
        for method in options.methods:
            for xla in ("no", "yes"):
                cells = measure_apart(size, method, xla, options.calls)
                print(f"| {' | '.join((size, method, xla, *cells))} |", flush=True)


def measure_apart(size, method, xla, calls):
    """Measures one row in a new process; returns its four cells."""
    command = [sys.executable, __file__, "--calls", str(calls)]
    command += ["--row", size, method, xla]
    quiet = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    run = subprocess.run(command, env=quiet, stdout=subprocess.PIPE, text=True)
    if run.returncode:
        return ["failed"] * 4
    results = json.loads(run.stdout.splitlines()[-1])
    times = [f"{seconds * 1e3:.0f} ms" for seconds, _ in results]
    memory = [f"{num_bytes / 1e6:.0f} MB" for _, num_bytes in results]
    return [*times, *memory]


def measure(size, method, xla, calls):
    """Returns (seconds, bytes) of the forward pass and of forward and backward."""
    maps, num_channels, num_rois = SIZES[size]
    strides = tuple(stride for *_, stride in maps)
    layer = RoIPooling(strides, METHODS[method], for_xla=xla == "yes")
    rng = np.random.default_rng(0)
    features = tuple(
        tf.nn.relu(tf.constant(rng.normal(size=(1, *cells, num_channels)), tf.float32))
        for *cells, _ in maps
    )
    rows, columns, stride = maps[0]
    boxes = some_boxes(rng, num_rois, rows * stride, columns * stride)
    levels = assign_levels(boxes)
    upstream = tf.constant(
        rng.normal(size=(1, num_rois, 7, 7, num_channels)), "float32"
    )

    @tf.function(autograph=False, jit_compile=xla == "yes")
    def forward(features):
        return layer(features, boxes, levels)

    @tf.function(autograph=False, jit_compile=xla == "yes")
    def both(features):
        with tf.GradientTape() as tape:
            tape.watch(features)
            pooled = layer(features, boxes, levels)
        return tape.gradient(pooled, features, upstream)

    before = memory_of_process("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # Resets the peak.
    results = []
    for step in (forward, both):
        fastest(step, features, 2)
        extra = memory_of_process("VmHWM") - before
        results.append((fastest(step, features, calls), extra))
    return results


def some_boxes(rng, num_rois, height, width):
    """Returns float32 [1, R, 4] boxes whose sides are evenly spread by logarithm."""
    canvas = np.array([height, width])
    sides = np.exp(rng.uniform(np.log(16), np.log(0.9 * canvas), (1, num_rois, 2)))
    corners = rng.uniform(0, canvas - sides)
    return np.concatenate([corners, corners + sides], axis=-1).astype(np.float32)


def fastest(step, features, calls):
    """Returns seconds of the fastest call, its result awaited."""
    times = []
    for _ in range(calls):
        start = time.perf_counter()
        tf.nest.map_structure(lambda result: result.numpy(), step(features))
        times.append(time.perf_counter() - start)
    return min(times)


def memory_of_process(name):
    status = Path("/proc/self/status").read_text()
    return int(re.search(rf"{name}:\s+(\d+) kB", status)[1]) * 1024


if __name__ == "__main__":
    main()
