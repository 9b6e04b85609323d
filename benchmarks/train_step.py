"""Times a configuration's training step and its inference on synthetic images.

    python benchmarks/train_step.py configs/bccd_vgg16.yaml --steps 20

The images are noise with twenty boxes, as large as the first canvas or, if each
image has its own, as that of a square image, so that neither data nor weights are
needed. Compare times of one machine only.
"""

import argparse
import platform
import time

import numpy as np
import tensorflow as tf

from tf_frcnn.assembly import build_model, build_resizing, compile_model
from tf_frcnn.config import load_config

NUM_BOXES, NUM_CLASSES = 20, 3


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("config")
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--steps", type=int, default=20)
    options = parser.parse_args()

    config = load_config(options.config, options.set)
    model = build_model(config, [f"class {k}" for k in range(NUM_CLASSES)])
    compile_model(config, model, steps_per_epoch=options.steps)
    batch = made_up_batch(
        config.data.batch_size, canvas_of(build_resizing(config.images))
    )
    print(
        f"{options.config}: canvas {tuple(batch['images'].shape)}, "
        f"{model.count_params() / 1e6:.1f} million weights, {platform.processor()} "
        f"{platform.machine()}, TensorFlow {tf.__version__}"
    )
    report("training step", tf.function(model.train_step), batch, options.steps)
    report("inference", tf.function(model.predict_step), batch, options.steps)


def canvas_of(resizing):
    """Returns the (height, width) of the images."""
    if not isinstance(resizing.canvases, int):
        return resizing.canvases[0]
    multiple = resizing.canvases
    side = -(-resizing.short_sides[0] // multiple) * multiple
    return side, side


def made_up_batch(batch_size, canvas, num_boxes=NUM_BOXES, num_classes=NUM_CLASSES):
    rng = np.random.default_rng(0)
    shape = (batch_size, num_boxes)
    corners = rng.uniform(0, 0.6, [*shape, 2])
    sides = rng.uniform(0.1, 0.4, [*shape, 2])
    boxes = np.concatenate([corners, corners + sides], axis=-1) * [*canvas, *canvas]
    return {
        "images": tf.constant(
            rng.uniform(0, 255, [batch_size, *canvas, 3]), tf.float32
        ),
        "image_sizes": tf.constant([canvas] * batch_size, tf.float32),
        "scales": tf.ones([batch_size, 2]),
        "boxes": tf.constant(boxes, tf.float32),
        "labels": tf.constant(rng.integers(0, num_classes, shape), tf.int32),
    }


def report(name, step, batch, count):
    """Prints the times of a compiled step; its first call, which traces, apart."""
    times = []
    for _ in range(count + 1):
        start = time.perf_counter()
        tf.nest.map_structure(lambda value: value.numpy(), step(batch))
        times.append(time.perf_counter() - start)
    first, rest = times[0], np.array(times[1:])
    print(
        f"{name}: median {np.median(rest):.3f} s, fastest {rest.min():.3f} s, "
        f"first call {first:.1f} s"
    )


if __name__ == "__main__":
    main()
