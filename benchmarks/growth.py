"""Measures how time and memory grow with batch, boxes, proposals and classes.

    python benchmarks/growth.py
    python benchmarks/growth.py --tables boxes --rows 2 --steps 2

Each row has a process of its own, on Linux. A time is the fastest of several calls. The
memory is the peak of the process above what it held before the first call, which has
TensorFlow, the weights and the batch. In brackets, both as multiples of the first row.
The weights are random and the images noise, and every score counts as a detection, so
that nothing becomes less than a setting allows. Compare numbers of one machine only.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import tensorflow as tf
from machine import machine
from roi_pooling import fastest, memory_of_process
from train_step import made_up_batch

from tf_frcnn.assembly import build_model, compile_model
from tf_frcnn.config import load_config, recipe_path


class Table(NamedTuple):
    """What one table varies.

    Attributes:
        heading: of its first column.
        step: "training step" or "inference".
        name: of what it varies, in `USUAL`.
        values: of the rows.
    """

    heading: str
    step: str
    name: str
    values: tuple[int, ...]


TABLES = {
    "batch": Table("images", "training step", "batch", (1, 2, 4, 8)),
    "boxes": Table("boxes an image", "training step", "boxes", (10, 50, 100, 300)),
    "training_proposals": Table(
        "proposals an image", "training step", "proposals", (500, 1000, 2000)
    ),
    "proposals": Table(
        "proposals an image", "inference", "proposals", (300, 1000, 2000)
    ),
    "classes": Table("classes", "inference", "classes", (20, 80, 320)),
}
# What the other rows have of it.
USUAL = {"batch": 1, "boxes": 20, "proposals": 1000, "classes": 20}


def main():
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--config", default="torchvision_resnet50_fpn")
    parser.add_argument("--canvas", nargs=2, type=int, default=(320, 480))
    parser.add_argument("--tables", nargs="*", default=TABLES, choices=TABLES)
    parser.add_argument("--rows", type=int, help="most rows of each table")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--row", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row:
        step, sizes = options.row
        print(json.dumps(measure(options, step, **json.loads(sizes))))
        return
    height, width = options.canvas
    print(f"{options.config}, {height} x {width} pixels, {machine()}")
    for name in options.tables:
        print_table(TABLES[name], options)


def print_table(table, options):
    """Measures and prints the rows of a table."""
    usual = {name: USUAL[name] for name in USUAL if name != table.name}
    if table.step == "inference":
        del usual["boxes"]
    others = ", ".join(f"{name} {number}" for name, number in usual.items())
    print(f"\n| {table.heading} ({others}) | {table.step} | memory |\n|---|---|---|")
    first = None
    for value in table.values[: options.rows]:
        measured = measure_apart(table, value, options)
        first = first or measured
        print(f"| {value} | {' | '.join(cells(measured, first))} |", flush=True)


def cells(measured, first):
    """Returns the time and the memory of a row as texts."""
    if measured is None:
        return "failed", "failed"
    (seconds, size), units = measured, (f"{measured[0]:.2f} s", f"{measured[1]:.0f} MB")
    growth = (seconds / first[0], size / first[1])
    return [f"{u} ({g:.1f})" for u, g in zip(units, growth, strict=True)]


def measure_apart(table, value, options):
    """Measures a row in a new process; returns None if that fails."""
    sizes = json.dumps(USUAL | {table.name: value})
    command = [sys.executable, __file__, "--config", options.config, "--canvas"]
    command += [*map(str, options.canvas), "--steps", str(options.steps)]
    command += ["--row", table.step, sizes]
    quiet = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    run = subprocess.run(command, env=quiet, stdout=subprocess.PIPE, text=True)
    return None if run.returncode else json.loads(run.stdout.splitlines()[-1])


def measure(options, step, *, batch, boxes, proposals, classes):
    """Returns the seconds and the megabytes of a step."""
    height, width = options.canvas
    settings = {
        "images.pad_to": "null",
        "images.canvases": f"[[{height}, {width}]]",
        "images.short_side": min(height, width),
        "images.long_side": max(height, width),
        "backbone.weights": "random",
        "proposals.train_post_nms": proposals,
        "proposals.test_pre_nms": 2 * proposals,
        "proposals.test_post_nms": proposals,
        "detections.score_threshold": 0.0,
        "train.clip_norm": 1.0,
        "data.batch_size": batch,
    }
    overrides = [f"{name}={value}" for name, value in settings.items()]
    config = load_config(recipe_path(options.config), overrides)
    model = build_model(config, [f"class {k}" for k in range(classes)])
    compile_model(config, model, steps_per_epoch=options.steps)
    model.optimizer.build(model.trainable_variables)
    data = made_up_batch(batch, (height, width), num_boxes=boxes, num_classes=classes)
    own = model.train_step if step == "training step" else model.predict_step
    compiled = tf.function(own)
    before = memory_of_process("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # Resets the peak.
    fastest(compiled, data, 1)
    seconds = fastest(compiled, data, options.steps)
    return seconds, (memory_of_process("VmHWM") - before) / 1e6


if __name__ == "__main__":
    main()
