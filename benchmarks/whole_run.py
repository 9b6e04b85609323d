"""Times a whole training, from the command to the mAP, beside torchvision's.

    python benchmarks/whole_run.py VOC --weights FILE --peer-python PYTHON

Images of a folder in VOC's layout are cut to shapes of their own, from twice as wide as
high to twice as high as wide, and written as COCO's JSON. VGG16 of the paper's recipe
then learns from them at a short side of 300 pixels, one image a step, from the same
weights of an ImageNet backbone in both programs, which run at the same time, each on
half of the cores, so that other work on the machine falls on both alike. Ours is the
command `tf-frcnn train`, with its validation, pictures, export and test; theirs is
`compared/whole_run_torchvision.py`, which trains and detects. Both are measured by
`evaluate_voc`. The folder `--output` keeps all of it; what is there is not run again.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from machine import machine

import tf_frcnn
from tf_frcnn.evaluation import DetectedBoxes, evaluate_voc
from tf_frcnn.models.evaluating import ground_truth_of

SHORT_SIDE, LONG_SIDE = 300, 600
# Random fc6 and fc7 of 4096 units answer with huge gradients at first.
CLIP_NORM = 10.0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", help="a folder in the layout of VOC")
    parser.add_argument("--weights", required=True, help="of VGG16")
    parser.add_argument("--peer-python", default=sys.executable, metavar="PYTHON")
    parser.add_argument("--images", type=int, default=160, help="that it learns (160)")
    parser.add_argument("--test-images", type=int, default=40, help="(40)")
    parser.add_argument("--epochs", type=int, default=4, help="(4)")
    parser.add_argument("--output", type=Path, default=Path("runs/whole_run"))
    options = parser.parse_args()
    folder = options.output.resolve()
    if not (folder / "data").exists():
        write_data(options, folder / "data")
    if not (folder / "weights.npz").exists():
        write_weights(options.weights, folder / "weights.npz")
    run_both(options, folder)
    seconds = {name: read(folder / f"{name}.json") for name in ("ours", "theirs")}
    figures = {"ours": our_figure(folder), "theirs": their_figure(folder)}
    steps = options.images * options.epochs
    print(f"\n{machine()}; {steps} steps, each program on half of the cores\n")
    print("| program | from command to mAP | ratio | mAP |")
    print("|---|---|---|---|")
    for name, title in (("ours", "tf-frcnn train"), ("theirs", "torchvision")):
        ratio = seconds["theirs"]["seconds"] / seconds[name]["seconds"]
        print(
            f"| {title} | {seconds[name]['seconds'] / 60:.1f} min | {ratio:.2f} | "
            f"{figures[name]:.3f} |"
        )


def write_data(options, folder):
    """Cuts images to shapes of their own and writes them as COCO's JSON."""
    draw = np.random.default_rng(0)
    counts = {
        "train": ("trainval", options.images),
        "test": ("test", options.test_images),
    }
    for split, (source, count) in counts.items():
        examples = tf_frcnn.read_data("voc", options.data, source)
        (folder / split).mkdir(parents=True)
        images, annotations = [], []
        for index, encoded in examples.stream().take(count).as_numpy_iterator():
            record, name = examples.records[index], f"{index}.jpg"
            pixels = tf.io.decode_jpeg(encoded, channels=3).numpy()
            top, left, height, width = cut_of(record, draw)
            cut = pixels[top : top + height, left : left + width]
            keras.utils.save_img(folder / split / name, cut, scale=False, quality=95)
            image = {"id": int(index), "file_name": name}
            images.append(image | {"height": height, "width": width})
            corners = record.boxes - np.float32([top, left, top, left])
            kept = np.clip(corners, 0, np.float32([height, width, height, width]))
            whole = np.prod(corners[:, 2:] - corners[:, :2], axis=1)
            shares = np.prod(kept[:, 2:] - kept[:, :2], axis=1) / whole
            for box, label in zip(
                kept[shares > 0.5].tolist(),
                record.labels[shares > 0.5].tolist(),
                strict=True,
            ):
                ymin, xmin, ymax, xmax = box
                annotation = {"id": len(annotations) + 1, "image_id": int(index)}
                annotation |= {"category_id": label + 1, "iscrowd": 0}
                sides = [xmax - xmin, ymax - ymin]
                area = sides[0] * sides[1]
                annotations.append(
                    annotation | {"bbox": [xmin, ymin, *sides], "area": area}
                )
        names = enumerate(examples.class_names, start=1)
        categories = [{"id": number, "name": name} for number, name in names]
        content = {
            "images": images,
            "annotations": annotations,
            "categories": categories,
        }
        (folder / split / "_annotations.coco.json").write_text(json.dumps(content))


def cut_of(record, draw):
    """Returns (top, left, height, width) of a part of an image."""
    ratio = 2 ** draw.uniform(-1, 1)
    height = min(record.height, record.width / ratio)
    height, width = round(height), round(height * ratio)
    top = draw.integers(record.height - height + 1)
    left = draw.integers(record.width - width + 1)
    return int(top), int(left), height, min(width, record.width)


def write_weights(source, path):
    """Writes the kernels and biases of VGG16's convolutions, in order, for PyTorch."""
    backbone = tf_frcnn.FasterRCNN.from_preset(
        "vgg16_voc07", num_classes=1, weights=source
    ).backbone
    values = [
        value.transpose(3, 2, 0, 1) if value.ndim == 4 else value
        for layer in backbone.layers
        for value in layer.get_weights()
    ]
    np.savez(path, *values)


def run_both(options, folder):
    """Runs what has not been run, each on its cores."""
    settings = {
        "data.reader": "coco",
        "data.directory": folder / "data",
        "data.train_split": "train",
        "data.validation_split": "test",
        "data.test_split": "test",
        "data.batch_size": 1,
        "images.short_side": SHORT_SIDE,
        "images.long_side": LONG_SIDE,
        "images.canvases": "[]",
        "images.pad_to": 16,
        "backbone.weights": Path(options.weights).resolve(),
        "train.epochs": options.epochs,
        "train.clip_norm": CLIP_NORM,
        "train.decay_epochs": f"[{0.75 * options.epochs}]",
        "evaluation.metric": "area",
        "evaluation.plus_one": "false",
    }
    ours = [sys.executable, "-m", "tf_frcnn", "train", "vgg16_voc07"]
    ours += ["--output", folder / "run"]
    ours += [
        part
        for pair in settings.items()
        for part in ("--set", "=".join(map(str, pair)))
    ]
    theirs = [options.peer_python, "-m", "compared.whole_run_torchvision"]
    theirs += [folder, options.epochs, SHORT_SIDE, LONG_SIDE, CLIP_NORM]
    cores = sorted(os.sched_getaffinity(0))
    half = len(cores) // 2 or 1
    started = {
        name: start(command, folder, name, own)
        for name, command, own in [
            ("ours", ours, cores[:half]),
            ("theirs", theirs, cores[-half:]),
        ]
        if not (folder / f"{name}.json").exists()
    }
    waiting = dict(started)
    while waiting:
        time.sleep(0.2)
        for name, (process, begin) in list(waiting.items()):
            if process.poll() is None:
                continue
            if process.returncode:
                raise SystemExit(f"{name} failed; see {folder / name}.log.")
            seconds = {"seconds": time.perf_counter() - begin}
            (folder / f"{name}.json").write_text(json.dumps(seconds))
            del waiting[name]


def start(command, folder, name, cores):
    """Starts a program on its cores; returns the process and the time."""
    log = (folder / f"{name}.log").open("w")
    process = subprocess.Popen(
        list(map(str, command)),
        cwd=Path(__file__).parent,
        stdout=log,
        stderr=subprocess.STDOUT,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    return process, time.perf_counter()


def our_figure(folder):
    return read(folder / "run" / "metrics_test.json")["voc"]["mAP"]["area"]


def their_figure(folder):
    examples = tf_frcnn.read_data("coco", folder / "data", "test")
    numbers = {Path(r.source).name: row for row, r in enumerate(examples.records)}
    rows = read(folder / "theirs_found.json")
    found = DetectedBoxes(
        image_index=np.array([numbers[row["file_name"]] for row in rows]),
        boxes=np.array([row["box"] for row in rows]),
        scores=np.array([row["score"] for row in rows]),
        labels=np.array([row["label"] for row in rows]),
    )
    result = evaluate_voc(
        ground_truth_of(examples), found, len(examples.class_names), metric="area"
    )
    return result.mean


def read(path):
    return json.loads(path.read_text())


if __name__ == "__main__":
    main()
