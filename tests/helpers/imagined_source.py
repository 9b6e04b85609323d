"""A source of checkpoints of a small detector, whose names are its own."""

import numpy as np

from tf_frcnn.assembly import build_model
from tf_frcnn.checkpoints.files import CheckpointError
from tf_frcnn.checkpoints.name_map import Taken, named_variables
from tf_frcnn.checkpoints.source import Description, Source
from tf_frcnn.config import make_config
from tf_frcnn.data import SHAPE_CLASSES

SETTINGS = {
    "data": {
        "reader": "shapes",
        "train_split": "train",
        "validation_split": "validation",
        **{f"num_{split}": 2 for split in ("train", "validation", "test")},
    },
    "images": {"short_side": 96, "long_side": 128, "pad_to": 32},
    "backbone": {"name": "tiny", "weights": "random", "frozen_blocks": 0},
    "anchors": {"scales": [2, 3]},
    "rpn": {"channels": 16},
    "roi": {"head_units": 16},
    "proposals": {"test_pre_nms": 100, "test_post_nms": 20},
    "detections": {"score_threshold": 0.0, "max_per_image": 8},
    "train": {"keep_images": 1, "epochs": 1},
}


def original_name(name):
    """Returns the name that the imagined program gives to a weight."""
    return name.replace("/", ".")


def describe(checkpoint, variant):
    if "rpn_head.conv.kernel" not in checkpoint.arrays:
        raise CheckpointError(f"{checkpoint.path}: not of this source.")
    model = build_model(make_config(SETTINGS, "test"), SHAPE_CLASSES)
    return Description(
        settings=SETTINGS,
        num_classes=checkpoint.arrays["box_predictor.logits.bias"].size - 1,
        class_names=None if variant == "unknown classes" else SHAPE_CLASSES,
        name_map={
            name: Taken((original_name(name),), lambda array: array.astype(np.float32))
            for name in named_variables(model)
        },
        ignored=r"^optimizer\.",
        notes=("An assumption.",),
    )


def random_arrays():
    """Returns random weights of the small detector, as its program names them."""
    model = build_model(make_config(SETTINGS, "test"), SHAPE_CLASSES)
    rng = np.random.default_rng(3)
    arrays = {
        original_name(name): rng.normal(0, 0.1, variable.shape).astype(np.float32)
        for name, variable in named_variables(model).items()
    }
    return arrays | {"optimizer.step": np.float32([3])}


SOURCE = Source(describe, ("unknown classes",))
