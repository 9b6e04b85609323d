"""Backbones, data sets, poolings, losses and metrics from outside of the package."""

import importlib.util

import pytest

from tf_frcnn.backbones import BACKBONES
from tf_frcnn.config import ConfigError, load_config
from tf_frcnn.data import DATASETS
from tf_frcnn.evaluation import METRICS
from tf_frcnn.layers import ROI_POOLINGS
from tf_frcnn.models import BOX_LOSSES, CLASS_LOSSES
from tf_frcnn.runs.alternating import train_alternating
from tf_frcnn.runs.evaluation import evaluate_run
from tf_frcnn.runs.training import train

pytestmark = pytest.mark.usefixtures("eager_steps")

SMALL = """
base: null
data: {reader: shapes, train_split: train, validation_split: validation,
  num_train: 2, num_validation: 1, num_test: 1}
images: {short_side: 64, long_side: 96, canvases: [[96, 96]]}
backbone: {name: tiny, weights: random, frozen_blocks: 0}
rpn: {channels: 8}
roi: {head_units: 8, dropout: 0.0}
proposals: {train_post_nms: 20, test_post_nms: 10}
train: {epochs: 1, keep_images: 0}
"""
# What a user's file holds, by the setting that names what it adds.
FILES = {
    "backbone.name": """
import keras

from tf_frcnn.backbones import BACKBONES, Backbone


def build(frozen_blocks=0, normalization=None):
    images = keras.Input((None, None, 3))
    features = keras.layers.Conv2D(8, 3, 8, padding="same", name="own")(images)
    return keras.Model(images, features)


BACKBONES["own"] = Backbone(build, strides=(8,), image_mode="unit", num_blocks=1)
""",
    "data.reader": """
from tf_frcnn.data import DATASETS, read_shapes


def read(location, split, *, class_names=(), policy=None):
    counts = {"num_train": 2, "num_validation": 1, "num_test": 1}
    return read_shapes(location, split, seed=9, **counts)


DATASETS["own"] = read
""",
    "roi.pooling": """
import tensorflow as tf

from tf_frcnn.layers import ROI_POOLINGS, Pooling


def pool(features, boxes, *, stride, pooled_size):
    means = tf.reduce_mean(features, [1, 2])[:, tf.newaxis, tf.newaxis, tf.newaxis]
    ones = tf.ones([1, tf.shape(boxes)[1], pooled_size, pooled_size, 1])
    return means * ones


ROI_POOLINGS["own"] = lambda roi: Pooling(pool)
""",
    "loss.roi_classes": """
import tensorflow as tf

from tf_frcnn.models import CLASS_LOSSES


def losses(logits, labels):
    missing = 1.0 - tf.gather(
        tf.nn.softmax(logits), tf.maximum(labels, 0), batch_dims=2
    )
    return tf.where(labels >= 0, missing, 0.0)


CLASS_LOSSES["own"] = lambda loss: losses
""",
    "loss.roi_boxes": """
import tensorflow as tf

from tf_frcnn.models import BOX_LOSSES


def losses(deltas, targets, labels, decode):
    rows = tf.reduce_mean(tf.abs(decode(deltas) - decode(targets)), axis=-1)
    return tf.where(labels > 0, rows, 0.0)


BOX_LOSSES["own"] = lambda loss: losses
""",
    "evaluation.metric": """
import numpy as np

from tf_frcnn.evaluation import METRICS

METRICS["own"] = lambda recalls, precisions: 0.25
""",
}


@pytest.fixture
def registries():
    """Takes what a test adds away again."""
    before = [
        (registry, dict(registry))
        for registry in (
            *(BACKBONES, DATASETS, ROI_POOLINGS),
            *(CLASS_LOSSES, BOX_LOSSES, METRICS),
        )
    ]
    yield
    for registry, kept in before:
        registry.clear()
        registry.update(kept)


@pytest.mark.slow
@pytest.mark.usefixtures("registries")
def test_parts_from_files_outside_of_the_package_train(tmp_path):
    (tmp_path / "small.yaml").write_text(SMALL)
    for number, text in enumerate(FILES.values()):
        file = tmp_path / f"own_part{number}.py"
        file.write_text(text)
        spec = importlib.util.spec_from_file_location(file.stem, file)
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    config = load_config(tmp_path / "small.yaml", [f"{name}=own" for name in FILES])
    model = train(config, tmp_path / "run")
    assert int(model.optimizer.iterations) == 2
    metrics = evaluate_run(tmp_path / "run", "test")
    assert set(metrics["voc"]["mAP"]) == set(METRICS)
    log = (tmp_path / "run" / "log.csv").read_text().splitlines()
    row = dict(zip(*(line.split(",") for line in log), strict=True))
    assert float(row["val_mAP"]) == metrics["voc"]["mAP"]["own"] == 0.25
    assert model.rpn.anchor_grid.strides == (8,)


@pytest.mark.parametrize("setting", FILES)
def test_an_unknown_name_is_told_before_the_first_step(setting, tmp_path):
    (tmp_path / "small.yaml").write_text(SMALL)
    config = load_config(tmp_path / "small.yaml", [f"{setting}=unknown"])
    alternating = {"scheme": "alternating", "step_epochs": (1, 1, 1, 1)}
    in_turns = config.replace(train=config.train.replace(**alternating))
    for run, own in ((train, config), (train_alternating, in_turns)):
        with pytest.raises(ConfigError, match=f"{setting} = 'unknown'"):
            run(own, tmp_path / "run")
    assert not (tmp_path / "run").exists()
