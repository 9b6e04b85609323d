"""Profiles a training step on noise, and prints which operations its time is spent in.

    python benchmarks/profile_step.py configs/vgg16_voc07.yaml 304x400

The times of an operation on all threads are added up. TensorBoard shows the profile
(`pip install xprof; tensorboard --logdir FOLDER`) if `--log FOLDER` keeps it.
"""

import argparse
import os
import tempfile
import time
from collections import Counter
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from machine import machine
from tensorflow.tsl.profiler.protobuf import xplane_pb2
from train_step import made_up_batch

from tf_frcnn.assembly import build_model, compile_model
from tf_frcnn.config import load_config

# What belongs together in the table; the rest is named by its operation.
KINDS = {
    "convolutions, forward": ("Conv2D", "_FusedConv2D"),
    "convolutions, gradients of kernels": ("Conv2DBackpropFilter",),
    "convolutions, gradients of maps": ("Conv2DBackpropInput",),
    "matrix products": ("MatMul", "_FusedMatMul", "BatchMatMulV2"),
    "update of the weights": (
        "ResourceApplyAdam",
        "ResourceApplyGradientDescent",
        "ResourceApplyKerasMomentum",
        "AssignAddVariableOp",
        "AssignSubVariableOp",
        "AssignVariableOp",
    ),
}
PICOSECONDS = 1e12


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("config")
    parser.add_argument("canvas", metavar="HEIGHTxWIDTH")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--rows", type=int, default=15, help="of the tables (15)")
    parser.add_argument("--log", type=Path, help="keeps the profile there")
    options = parser.parse_args()
    canvas = [int(side) for side in options.canvas.split("x")]
    own = ["backbone.weights=random", "backbone.normalization=frozen_batch"]
    own += ["train.learning_rate=1e-9"]  # Noise and random weights would diverge.
    config = load_config(options.config, [*own, *options.set])
    model = build_model(config, [f"class {k}" for k in range(20)])
    compile_model(config, model, steps_per_epoch=1000)
    batch = made_up_batch(1, canvas, num_classes=20)
    graph = tf.function(model.train_step, autograph=False)
    with tempfile.TemporaryDirectory() as folder:
        log = options.log or Path(folder)
        seconds = profiled(lambda: graph(batch), options.steps, log)
        by_name = times_of(log, options.steps)
    print(
        f"{machine()}; {options.config}, {options.canvas}: {np.median(seconds):.2f} s "
        "a step.\n"
    )
    by_kind = Counter()
    for name, own in by_name.items():
        operation = name.rpartition(":")[2]
        kinds = [kind for kind, members in KINDS.items() if operation in members]
        by_kind[kinds[0] if kinds else operation] += own
    for title, times in (("operations", by_kind), ("operation", by_name)):
        total = sum(times.values())
        print(f"| {title} | time on all threads | share |\n|---|---|---|")
        for name, own in times.most_common(options.rows):
            print(f"| {name} | {1e3 * own:.0f} ms | {own / total:.1%} |")
        print()


def profiled(step, count, log):
    """Profiles steps, after two that make the graph, and returns their seconds."""
    seconds = []
    for number in range(count + 2):
        if number == 2:
            tf.profiler.experimental.start(str(log))
        start = time.perf_counter()
        tf.nest.map_structure(lambda value: value.numpy(), step())
        seconds.append(time.perf_counter() - start)
    tf.profiler.experimental.stop()
    return seconds[2:]


def times_of(log, steps):
    """Returns the seconds that a step spends in each operation, "name:kind"."""
    path = max(log.glob("plugins/profile/*/*.xplane.pb"), key=os.path.getmtime)
    space = xplane_pb2.XSpace.FromString(path.read_bytes())
    times = Counter()
    for plane in space.planes:
        names = {key: event.name for key, event in plane.event_metadata.items()}
        for event in (event for line in plane.lines for event in line.events):
            name = names[event.metadata_id]
            # Others are functions of the runtime, which contain operations.
            if ":" in name and "::" not in name and " " not in name:
                times[name] += event.duration_ps / PICOSECONDS / steps
    return times


if __name__ == "__main__":
    main()
