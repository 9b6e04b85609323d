"""The Python blocks of a page, run in order in one namespace.

A block runs as it stands. What would need a network, minutes or a server is answered by
a stand-in, and all of these are here:

- files: those of `FILES` that a page's blocks name lie in its folder;
- networks: every recipe gets the small network of `SMALL`, and its weights stay random,
  whatever they are to be;
- time: `fit` runs one epoch, of two steps where it is told a number of steps, without
  tracing them;
- TensorFlow Datasets: `tfds.load` and the reader "tfds_voc" give drawn images with
  VOC's features and classes;
- trackers of trainings: `wandb` and `mlflow` keep nothing, their callbacks only look
  at the logs;
- servers: what is sent to localhost:8501 and :8500 reaches small servers with a real
  export.
"""

import contextlib
import csv
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import tensorflow as tf
from PIL import Image

from tests.helpers import rest_stand_in, rpc_stand_in
from tests.helpers.short_backbone import SHORT
from tf_frcnn.backbones import BACKBONES
from tf_frcnn.data import SHAPE_CLASSES, make_shapes, write_coco, write_voc
from tf_frcnn.models import FasterRCNN

SMALL = {
    "data": {"num_train": 8, "num_validation": 4, "num_test": 4},
    "images": {
        "short_side": 96,
        "long_side": 128,
        "canvases": ((128, 128),),
        "pad_to": None,
    },
    "backbone": {
        "name": "short",
        "layer": None,
        "weights": "random",
        "frozen_blocks": 0,
    },
    "anchors": {"scales": (2.0, 3.0, 5.0), "sizes": ()},
    "rpn": {"channels": 16},
    "proposals": {
        "train_pre_nms": 200,
        "train_post_nms": 40,
        "test_pre_nms": 100,
        "test_post_nms": 20,
    },
    "roi": {
        "num_samples": 16,
        "head_units": 16,
        "head_convs": 0,
        "hard_examples": None,
    },
    # So low that random weights find something.
    "detections": {"score_threshold": 0.0, "max_per_image": 8},
    "train": {"precision": "float32"},
}
MOST_EPOCHS, MOST_STEPS = 1, 2
VOC_CLASSES = (*SHAPE_CLASSES, *(f"class {label}" for label in range(4, 20)))
SERVERS = {"localhost:8501": rest_stand_in.serve, "localhost:8500": rpc_stand_in.start}


def blocks_of(page):
    """Returns (number of its first line, code) of each Python block of a page."""
    text = page.read_text(encoding="utf-8")
    return [
        (text.count("\n", 0, block.start(1)) + 1, block[1])
        for block in re.finditer(r"^```python\n(.*?)^```$", text, re.DOTALL | re.M)
    ]


def run_blocks(page):
    """Runs the blocks of a page in the working folder; errors point to its lines."""
    namespace = {"__name__": "__main__"}
    for line, code in blocks_of(page):
        exec(compile("\n" * (line - 1) + code, str(page), "exec"), namespace)


# ---- Files.


def write_cells(path):
    for split, (count, seed) in {
        "train": (6, 1),
        "val": (3, 2),
        "test": (3, 3),
    }.items():
        write_voc(make_shapes(count, seed=seed), path, split)


def write_csv(path):
    write_cells(path.parent / "cells")
    with open(path, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "class", "ymin", "xmin", "ymax", "xmax"])
        for record in make_shapes(6, seed=1).records:
            for box, label in zip(record.boxes, record.labels, strict=True):
                name = f"cells/JPEGImages/{record.source}"
                rows.writerow([name, SHAPE_CLASSES[label], *box])


def write_records(path):
    """Writes `tf.Example`s as the TensorFlow Object Detection API has them."""
    examples = make_shapes(3, seed=6)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for row, image in examples.stream().as_numpy_iterator():
            record = examples.records[row]
            sides = np.tile([record.height, record.width], 2)
            columns = zip(
                ("ymin", "xmin", "ymax", "xmax"), (record.boxes / sides).T, strict=True
            )
            example = tf.train.Example()
            feature = example.features.feature
            feature["image/encoded"].bytes_list.value.append(image)
            labels = (record.labels + 1).tolist()
            feature["image/object/class/label"].int64_list.value.extend(labels)
            for side, values in columns:
                feature[f"image/object/bbox/{side}"].float_list.value.extend(values)
            writer.write(example.SerializeToString())


def write_image(path):
    pixels = next(make_shapes(1, seed=4).stream().as_numpy_iterator())[1]
    Image.fromarray(tf.io.decode_png(pixels).numpy()).save(path)


def write_list(path):
    path.write_text('{"file": "a.png", "detections": []}\n{"file": "b.png"}\n')


def small_model():
    """Returns a detector whose scores differ clearly, as a trained one's do."""
    model = FasterRCNN.from_preset("quickstart", class_names=SHAPE_CLASSES)
    logits = model.roi_head.predictor.logits
    logits.set_weights([3 * logits.kernel.numpy(), np.linspace(0, 1, 5)])
    return model


FILES = {
    "cells": write_cells,
    "data/coco": lambda path: write_coco(make_shapes(3, seed=3), path, "val2017"),
    "annotations.csv": write_csv,
    "train.record": write_records,
    "photo.jpg": write_image,
    "other.png": write_image,
    "found/detections.jsonl": write_list,
    "runs/cells": lambda path: small_model().save_to_preset(path),
    "exported/1": lambda path: small_model().export(path.parent),
    "converted/onnx/1": lambda path: small_model().export(path.parent, format="onnx"),
}


class Material:
    """The files, each made when it is first needed.

    Args:
        folder: an empty one.
    """

    def __init__(self, folder):
        self._folder = folder

    def made(self, name):
        path = self._folder / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            FILES[name](path)
        return path

    def copy(self, name, folder):
        """Copies what is called so into a folder."""
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if self.made(name).is_dir() else shutil.copy
        copy(self.made(name), folder / name)


# ---- What is replaced.


@contextlib.contextmanager
def stand_ins(patch, material, code):
    """Replaces what a page's code cannot have; `patch` is pytest's monkeypatch."""
    small_networks(patch)
    short_trainings(patch)
    drawn_voc(patch)
    trackers(patch)
    for name in FILES:
        if re.search(rf"(?<!\w){name}(?!\w)", code):
            material.copy(name, Path.cwd())
    with contextlib.ExitStack() as running:
        for address, serve in SERVERS.items():
            if address in code:
                exported = material.made("exported/1").parent
                server = running.enter_context(serve(exported, "detector"))
                redirect(patch, address, getattr(server, "target", server))
        yield


def small_networks(patch):
    from tf_frcnn import config
    from tf_frcnn.presets import loading

    def small(make):
        return lambda *args, **settings: with_small_parts(make(*args, **settings))

    def published(recipe, weights, class_names=None, *, overrides=None):
        names = class_names or VOC_CLASSES
        model = FasterRCNN.from_preset(recipe, class_names=names, **(overrides or {}))
        return SimpleNamespace(model=model, notes=())

    patch.setitem(BACKBONES, "short", SHORT)
    for module, name in ((loading, "make_config"), (config, "load_config")):
        patch.setattr(module, name, small(getattr(module, name)))
    patch.setattr(loading, "load_initial_weights", lambda config, model: None)
    patch.setattr(loading, "load_published", published)


def with_small_parts(settings):
    parts = {
        section: getattr(settings, section).replace(**values)
        for section, values in SMALL.items()
    }
    return settings.replace(**parts)


def short_trainings(patch):
    fit = FasterRCNN.fit

    def short(self, *data, epochs=1, steps_per_epoch=None, **settings):
        if steps_per_epoch is not None:
            settings["steps_per_epoch"] = min(steps_per_epoch, MOST_STEPS)
        last = settings.get("initial_epoch", 0) + MOST_EPOCHS
        if self.compiled:
            self.run_eagerly = True  # tracing takes longer than so few steps
        return fit(self, *data, epochs=min(epochs, last), **settings)

    patch.setattr(FasterRCNN, "fit", short)


def drawn_voc(patch):
    import tensorflow_datasets as tfds

    from tf_frcnn.data import DATASETS

    shapes = make_shapes(4, seed=5)

    def load(name, *, split, with_info=False, **_):
        label = SimpleNamespace(names=list(VOC_CLASSES))
        info = SimpleNamespace(features={"objects": {"label": label}})
        dataset = tfds_dataset(shapes)
        return (dataset, info) if with_info else dataset

    def read(location, split, *, class_names=(), policy=None, download=False):
        return replace(shapes, class_names=VOC_CLASSES)

    patch.setattr(tfds, "load", load)
    patch.setitem(DATASETS, "tfds_voc", read)


def tfds_dataset(examples):
    """Returns an example set as TensorFlow Datasets gives VOC."""

    def elements():
        for row, image in examples.stream().as_numpy_iterator():
            record = examples.records[row]
            sides = np.tile([record.height, record.width], 2)
            # VOC's pixels count from 1.
            boxes = (record.boxes + np.float32([1, 1, 0, 0])) / sides
            labels = record.labels
            objects = {"bbox": boxes, "label": labels, "is_difficult": record.difficult}
            pixels = tf.io.decode_png(image, channels=3)
            yield {"image": pixels, "objects": objects, "labels_no_difficult": labels}

    numbers = tf.TensorSpec([None], tf.int64)
    spec = {
        "image": tf.TensorSpec([None, None, 3], tf.uint8),
        "objects": {
            "bbox": tf.TensorSpec([None, 4], tf.float32),
            "label": numbers,
            "is_difficult": tf.TensorSpec([None], tf.bool),
        },
        "labels_no_difficult": numbers,
    }
    return tf.data.Dataset.from_generator(elements, output_signature=spec)


def trackers(patch):
    import keras

    class Logger(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            assert logs["gradient_norm"] > 0 and "val_mAP" in logs

    def nothing(*args, **settings):
        return contextlib.nullcontext()

    of_wandb = SimpleNamespace(WandbMetricsLogger=Logger)
    of_keras = SimpleNamespace(MlflowCallback=Logger)
    wandb = SimpleNamespace(init=nothing)
    mlflow = SimpleNamespace(
        **{"start_run": nothing, "log_dict": nothing, "log_artifact": nothing}
    )
    for name, module in {
        **{"wandb": wandb, "wandb.integration": wandb, "mlflow": mlflow},
        **{"wandb.integration.keras": of_wandb, "mlflow.keras": of_keras},
    }.items():
        patch.setitem(sys.modules, name, module)


def redirect(patch, address, actual):
    """Sends what is meant for an address to another one."""
    import grpc
    import requests

    post, channel = requests.post, grpc.insecure_channel
    actual = actual.removeprefix("http://")

    def moved(place):
        return place.replace(address, actual)

    patch.setattr(requests, "post", lambda url, **rest: post(moved(url), **rest))
    patch.setattr(
        grpc, "insecure_channel", lambda target, *rest: channel(moved(target), *rest)
    )
