"""Compares the losses of 20 training steps with those by XLA, or in 16 bits.

    python benchmarks/step_losses.py
    python benchmarks/step_losses.py --way bfloat16 --rows "tiny, crop" "zf, align"

For backbones and RoI poolings, each row in a process of its own: one image of 96 x 128
pixels, random weights, the first 20 steps. The differences are the largest of any loss,
in the first step and in all, relative to the loss (to 0.01 where it is less); the fall
is that of the whole loss, without which nothing would be compared; the seconds are
those of the first step, which compiles. With XLA the exit status is 1 if a difference
is above what float32 explains.

Rounding decides between the nearly equal scores of an untrained RPN. So that the second
stage sees the same RoIs, it sees the objects alone. What the first steps round grows
with every step, the faster, the higher the rate: ten times the rate makes 4e-3 of
vgg16's 1e-5.
"""

import argparse
import json
import os
import subprocess
import sys
import time

import keras
import numpy as np
import tensorflow as tf
from machine import machine

from tf_frcnn.assembly import build_model
from tf_frcnn.config import load_config

STEPS, LIMIT, NUM_CLASSES = 20, 1e-4, 4
HEADINGS = ("backbone", "first step", "20 steps", "fall", "plain")
WAYS = ("xla", "bfloat16", "mixed_float16")
# Of each backbone its recipe, the poolings, None for the recipe's own, and the rate, at
# which the loss falls.
ALL = ("crop", "pool", "align")
BACKBONES = {
    "tiny": ("quickstart", ALL, 5e-4),
    "zf": ("zf_voc07", ALL, 5e-5),
    "teaching_fpn": ("teaching_fpn_voc07", ALL, 5e-4),
    "vgg16": ("vgg16_voc07", (None,), 5e-5),
    "vgg16_floor": ("simple_faster_rcnn_vgg16_voc07", (None,), 5e-5),
    "mobilenet_v1_c4": ("tf_faster_rcnn_mobile_coco", (None,), 5e-4),
    "resnet50_c4": ("tf_faster_rcnn_res50_coco", (None,), 1e-5),
    "mobilenet_v3_large_fpn": ("torchvision_mobilenet_v3_large_fpn", (None,), 5e-4),
    "resnet50_fpn": ("torchvision_resnet50_fpn", (None,), 5e-4),
    "resnet50_fpn_v2": ("torchvision_resnet50_fpn_v2", (None,), 5e-4),
}
ROWS = {
    f"{name}, {pooling}" if pooling else name: (recipe, pooling, rate)
    for name, (recipe, poolings, rate) in BACKBONES.items()
    for pooling in poolings
}
SETTINGS = {
    "images.canvases": "[]",
    "images.pad_to": 32,
    "backbone.weights": "random",
    "rpn.channels": 32,
    "roi.head_units": 16,
    "roi.dropout": 0,
    "roi.num_samples": 4,
    "roi.foreground_fraction": 1,
    "roi.foreground_iou": 0.95,
    "roi.add_ground_truth": "true",
    "roi.level_rule": "size",
}
BOXES = [[8.0, 10, 60, 90], [40, 50, 90, 100], [5, 70, 50, 120], [30, 20, 80, 60]]


def main():
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--way", choices=WAYS, default=WAYS[0])
    parser.add_argument("--rows", nargs="*", default=ROWS, choices=ROWS)
    parser.add_argument("--row", nargs=1, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row:
        print(json.dumps(compare(options.way, *ROWS[options.row[0]])))
        return 0
    print(machine())
    headings = (*HEADINGS, options.way)
    print(f"\n| {' | '.join(headings)} |\n|{'---|' * len(headings)}")
    differences = []
    for name in options.rows:
        row = compare_apart(name, options.way)
        differences.append(row[1])
        texts = [f"{off:.1e}" for off in row[:2]] + [f"{row[2]:.1%}"]
        texts += [f"{seconds:.0f} s" for seconds in row[3:]]
        print(f"| {name} | {' | '.join(texts)} |", flush=True)
    return 1 if options.way == "xla" and max(differences) >= LIMIT else 0


def compare_apart(name, way):
    """Returns what `compare` does, of a new process; infinity if that fails."""
    command = [sys.executable, __file__, "--way", way, "--row", name]
    quiet = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    run = subprocess.run(command, env=quiet, stdout=subprocess.PIPE, text=True)
    if run.returncode:
        return [float("inf")] * 2 + [0.0] * 3
    return json.loads(run.stdout.splitlines()[-1])


def compare(way, recipe, pooling, rate):
    """Returns the differences, the fall, and the seconds of each first step."""
    overrides = [f"{name}={value}" for name, value in SETTINGS.items()]
    overrides += [f"roi.pooling={pooling}"] if pooling else []
    precision = "float32" if way == "xla" else way
    (plain, seconds), (other, more) = (
        losses_of_steps(
            load_config(recipe, [*overrides, f"train.precision={own}"]), rate, jit
        )
        for own, jit in (("float32", False), (precision, way == "xla"))
    )
    off = np.abs(other - plain) / np.maximum(np.abs(plain), 0.01)
    fall = 1 - plain[-1, 0] / plain[0, 0]
    return float(off[0].max()), float(off.max()), float(fall), seconds, more


def losses_of_steps(config, rate, jit_compile):
    """Returns float [20, losses], means so far, and the first step's seconds."""
    keras.utils.set_random_seed(0)
    model = build_model(config, [str(k) for k in range(NUM_CLASSES)])
    optimizer = keras.optimizers.SGD(rate, momentum=0.9, global_clipnorm=1.0)
    model.compile(optimizer, jit_compile=jit_compile)
    batch = {
        "images": tf.random.stateless_uniform([1, 96, 128, 3], (0, 1)) * 255,
        "boxes": tf.constant([BOXES]),
        "labels": tf.constant([[0, 3, 1, 2]]),
    }
    steps, start, seconds = [], time.perf_counter(), 0.0
    for _ in range(STEPS):
        logs = model.train_on_batch(batch, return_dict=True)
        seconds = seconds or time.perf_counter() - start
        steps.append([float(logs[name]) for name in model.loss_names])
    return np.array(steps), seconds


if __name__ == "__main__":
    sys.exit(main())
