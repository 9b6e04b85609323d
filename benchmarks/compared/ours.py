"""Steps of a recipe of this package, one image each; see `compare.py`."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf
from compared.answering import NUM_CLASSES, answer, arguments
from gpu import made_up

from tf_frcnn.assembly import build_model, compile_model
from tf_frcnn.config import load_config

RECIPES = {"vgg16": "vgg16_voc07", "resnet50_fpn": "torchvision_resnet50_fpn"}


def main():
    asked = arguments(RECIPES)
    model, config = built(asked)
    if asked.kind == "training":
        compile_model(config, model, steps_per_epoch=1000)
    made = made_up.batch(1, asked.canvas, NUM_CLASSES)
    del made["step"]
    batch = {name: tf.constant(values) for name, values in made.items()}
    steps = {"training": model.train_step, "inference": model.predict_step}
    graph = tf.function(steps[asked.kind], autograph=False)
    answer(lambda: tf.nest.map_structure(lambda value: value.numpy(), graph(batch)))


def built(asked):
    """Returns the model that is asked for, with random weights, and its settings."""
    height, width = asked.canvas
    settings = {
        "backbone.weights": "random",
        "backbone.normalization": "frozen_batch",
        "backbone.frozen_blocks": 2,
        "images.short_side": min(height, width),
        "images.long_side": max(height, width),
        "train.learning_rate": 1e-9,  # Random VGG16 answers noise with huge gradients.
        "train.precision": asked.precision.replace("int8", "float32"),
        "data.batch_size": 1,
    }
    config = load_config(
        RECIPES[asked.detector], [f"{name}={v}" for name, v in settings.items()]
    )
    return build_model(config, [f"class {k}" for k in range(NUM_CLASSES)]), config


if __name__ == "__main__":
    main()
