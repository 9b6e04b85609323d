"""Compares the mAP in large pictures, cut into tiles, with that in the pictures alone.

    python benchmarks/tiled_mosaic.py RUN --rows 8 --columns 6

The images of the run's test split, all of one size, are joined to large ones, which are
detected in three ways: as they are, shrunk to the network's size, and in tiles of the
images' size. A tile rarely lies over an image exactly, so that it shows parts of four.
"""

import argparse
import itertools
import os
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from machine import machine

import tf_frcnn
from tf_frcnn.assembly import Splits
from tf_frcnn.data import ExampleSet
from tf_frcnn.data.readers.images import read_images
from tf_frcnn.evaluation import GroundTruth
from tf_frcnn.models.evaluating import evaluate_boxes, ground_truth_of, observe
from tf_frcnn.runs.inference import load_detector

OVERLAPS = (0.25, 0.375, 0.5)
_COLUMNS = ("boxes", "labels", "difficult", "crowd")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--columns", type=int, default=6)
    parser.add_argument("--overlaps", type=float, nargs="+", default=OVERLAPS)
    parser.add_argument("--no-whole-image", action="store_true")
    options = parser.parse_args()
    run = load_detector(options.run)
    examples = Splits(run.config).read(options.split, run.model.class_names)
    size = examples.records[0].height, examples.records[0].width
    with tempfile.TemporaryDirectory() as folder:
        large, truth = joined(examples, options.rows, options.columns, Path(folder))
        first = large.records[0]
        print(
            f"{machine()}; {len(examples.records)} images of {size[0]} x {size[1]} "
            f"pixels joined to {len(large.records)} of {first.height} x "
            f"{first.width}; {len(truth.labels)} objects\n"
        )
        print(
            "| detected in | mAP |" + "".join(f" {n} |" for n in examples.class_names)
        )
        print("|---|---|" + "---|" * len(examples.class_names))
        alone = evaluate_boxes(run.model, *observe(run.model, examples))
        show("each image", alone)
        show("the large ones, shrunk", found_in(run.model, large, truth))
        for overlap in options.overlaps:
            tiles = {"size": size, "overlap": overlap}
            tiles["whole_image"] = not options.no_whole_image
            model = tf_frcnn.FasterRCNN.from_preset(options.run, tiles=tiles)
            result = found_in(model, large, truth)
            share = f" ({result.mean / alone.mean:.1%})"
            only = " alone" if options.no_whole_image else ""
            show(f"tiles{only} with an overlap of {overlap:g}{share}", result)


def joined(examples, rows, columns, folder) -> tuple[ExampleSet, GroundTruth]:
    """Returns large images, and the objects in them."""
    own = ground_truth_of(examples)
    stream = examples.stream().as_numpy_iterator()
    paths, parts = [], []
    for number in itertools.count():
        group = list(itertools.islice(stream, rows * columns))
        if not group:
            break
        height, width = examples.records[0].height, examples.records[0].width
        image = np.zeros([rows * height, columns * width, 3], np.uint8)
        for place, (row, data) in enumerate(group):
            y, x = place // columns * height, place % columns * width
            pixels = tf.io.decode_image(data, channels=3).numpy()
            image[y : y + height, x : x + width] = pixels
            here = own.image_index == row
            part = own._asdict() | {"boxes": own.boxes + np.tile([y, x], 2)}
            columns_of = {name: part[name][here] for name in _COLUMNS}
            parts.append(
                GroundTruth(image_index=np.full(here.sum(), number), **columns_of)
            )
        paths.append(folder / f"{number}.png")
        paths[-1].write_bytes(tf.io.encode_png(image, compression=1).numpy())
    truth = GroundTruth(*map(np.concatenate, zip(*parts, strict=True)))
    return read_images(paths, examples.class_names), truth


def found_in(model, large, truth):
    return evaluate_boxes(model, truth, observe(model, large)[1])


def show(name, result):
    figures = "".join(f" {ap:.3f} |" for ap in result.by_class.values())
    print(f"| {name} | {result.mean:.3f} |{figures}", flush=True)


if __name__ == "__main__":
    main()
