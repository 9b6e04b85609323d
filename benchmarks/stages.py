"""Times the stages of a detection: the dense layers, and what lies between them.

    python benchmarks/stages.py torchvision_resnet50_fpn 800x1333 --classes 80

Each stage is a graph of its own, fed with what the one before it gave; they are run in
turn, so that other work on the machine falls on all alike. The image is noise and the
weights are random, with logits spread so that every class has scores above the
threshold: the suppression then has more to do than on most photos.
"""

import argparse
import os
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from gpu import made_up
from machine import machine

from tf_frcnn.assembly import build_model
from tf_frcnn.config import load_config
from tf_frcnn.models.batch import with_defaults

DENSE = ("backbone", "RPN head", "box head")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config")
    parser.add_argument("canvas", metavar="HEIGHTxWIDTH")
    parser.add_argument("--classes", type=int, default=80)
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--steps", type=int, default=10)
    options = parser.parse_args()
    canvas = [int(side) for side in options.canvas.split("x")]
    model = random_model(options.config, options.set, options.classes)
    made = made_up.batch(1, canvas, options.classes)
    stages = stages_of(model, with_defaults({"images": tf.constant(made["images"])}))
    times = {name: [] for name in stages}
    for _ in range(options.steps + 1):
        for name, stage in stages.items():
            start = time.perf_counter()
            tf.nest.map_structure(lambda value: value.numpy(), stage())
            times[name].append(time.perf_counter() - start)
    seconds = {name: np.median(own[1:]) for name, own in times.items()}
    print(
        f"{machine()}; {options.config}, {options.canvas}, {options.classes} classes\n"
    )
    print("| stage | time | share |\n|---|---|---|")
    for name, own in seconds.items():
        print(f"| {name} | {1e3 * own:.0f} ms | {own / sum(seconds.values()):.1%} |")
    rest = sum(own for name, own in seconds.items() if name not in DENSE)
    print(f"| all but the dense layers | | {rest / sum(seconds.values()):.1%} |")


def random_model(name, settings, num_classes):
    own = ["backbone.weights=random", "backbone.normalization=frozen_batch"]
    config = load_config(name, [*own, *settings])
    model = build_model(config, [f"class {k}" for k in range(num_classes)])
    for layer in model._flatten_layers():
        for number, variable in enumerate(layer.weights if not layer._layers else ()):
            value = made_up.value(number, variable.path, tuple(variable.shape))
            variable.assign(value)
    return model


def stages_of(model, batch):
    """Returns a function without arguments for each stage, in their order."""
    canvas, head = tf.shape(batch["images"])[1:3], model.roi_head
    if len(head.heads()) > 1:
        raise SystemExit("roi.cascade_ious: the stages of one head alone are timed.")
    features = model.features(batch)
    rpn = model.rpn(features, batch["image_sizes"], canvas)
    proposals = model.rpn.propose(rpn, batch)
    maps = features[: len(head.pooling.strides)]
    pooled = head.pooling(maps, proposals.boxes, head._levels(proposals), canvas)
    logits, deltas = head.predictor(head.box_head(pooled))

    def pool(maps, boxes):
        return head.pooling(
            maps, boxes, head._levels(proposals._replace(boxes=boxes)), canvas
        )

    def detect(logits, deltas):
        return head.detect(proposals, logits, deltas, batch)

    stages = {
        "backbone": (
            lambda images: model.features(batch | {"images": images}),
            [batch["images"]],
        ),
        "RPN head": (lambda *f: [model.rpn.head(level) for level in f], features),
        "proposals": (lambda state: model.rpn.propose(state, batch), [rpn]),
        "RoI pooling": (pool, [maps, proposals.boxes]),
        "box head": (lambda x: head.predictor(head.box_head(x)), [pooled]),
        "detections": (detect, [logits, deltas]),
    }
    found = int(tf.math.count_nonzero(detect(logits, deltas).valid))
    print(
        f"{int(tf.math.count_nonzero(proposals.valid))} proposals, {found} detections"
    )

    def graph_of(function, inputs):
        graph = tf.function(function, autograph=False)
        return lambda: graph(*inputs)

    return {name: graph_of(*stage) for name, stage in stages.items()}


if __name__ == "__main__":
    main()
