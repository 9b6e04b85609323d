"""Batches of a user's own that are not sound."""

import functools
import random

import numpy as np
from small_runs import SETTINGS

NUM_BATCHES, BATCH_SIZE, SIDE = 4, 2, 128


def nan_pixel(image):
    """Makes a channel of a pixel NaN."""
    image["images"][random.randrange(SIDE), random.randrange(SIDE), 1] = np.nan


def nan_box(image):
    """Makes a corner of a box NaN."""
    image["boxes"][0, random.randrange(4)] = np.nan


def reversed_box(image):
    """Exchanges the corners of a box."""
    image["boxes"][0] = np.roll(image["boxes"][0], 2)


def wrong_label(image):
    """Names a class that there is not."""
    image["labels"][0] = random.choice((-2, 4, 2**31 - 1))


def nan_size(image):
    """Makes a size of an image NaN."""
    image["image_sizes"][random.randrange(2)] = np.nan


def batch_trial(change, trial):
    """Fits batches of which one has an image that is not sound."""
    from tf_frcnn import DataError

    model, begin = _model_and_values()
    step, image = random.randrange(NUM_BATCHES), random.randrange(BATCH_SIZE)
    name = f"image {step}.{image}"
    expected = begin
    _set(model, begin)
    if step:
        model.fit(_dataset(_batches(), step), verbose=0)
        expected = _values(model)
    _set(model, begin)
    batches = _batches()
    change({name: values[step, image] for name, values in batches.items()})
    told = "no error"
    try:
        model.fit(_dataset(batches), verbose=0)
    except DataError as error:
        told = str(error)
    found = []
    if name not in told or told.count("image ") != 1 or "\n" in told:
        found.append(f"{name} is not what the error names: {told}")
    pairs = zip(expected, _values(model), strict=True)
    if any(old.tobytes() != new.tobytes() for old, new in pairs):
        found.append(f"the weights after {told} are not those before the step")
    return f"batch {step + 1}", found


@functools.cache
def _model_and_values():
    """Returns a compiled model, and the values that it begins with."""
    from tf_frcnn.assembly import build_model
    from tf_frcnn.config import load_config

    classes = ("cross", "ellipse", "rectangle", "triangle")
    model = build_model(load_config("quickstart", SETTINGS), classes)
    model.compile()
    return model, _values(model)


def _variables(model):
    return [*model.weights, *model.optimizer.variables]


def _values(model):
    return [np.array(variable) for variable in _variables(model)]


def _set(model, values):
    for variable, value in zip(_variables(model), values, strict=True):
        variable.assign(value)


def _batches():
    """Returns arrays whose first axis is that of the batches."""
    rng, shape = np.random.default_rng(0), (NUM_BATCHES, BATCH_SIZE)
    corners = rng.uniform(5, 40, (*shape, 3, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(20, 80, corners.shape)], -1)
    names = [[f"image {b}.{i}" for i in range(BATCH_SIZE)] for b in range(NUM_BATCHES)]
    return {
        "images": rng.uniform(0, 255, (*shape, SIDE, SIDE, 3)).astype(np.float32),
        "image_sizes": np.full((*shape, 2), SIDE, np.float32),
        "boxes": boxes.astype(np.float32),
        "labels": rng.integers(0, 4, (*shape, 3)).astype(np.int32),
        "image_ids": np.array(names),
    }


def _dataset(batches, count=NUM_BATCHES):
    import tensorflow as tf

    first = {name: values[:count] for name, values in batches.items()}
    return tf.data.Dataset.from_tensor_slices(first)


TRIALS = {
    "own batches: pixel that is NaN": functools.partial(batch_trial, nan_pixel),
    "own batches: box that is NaN": functools.partial(batch_trial, nan_box),
    "own batches: box that is reversed": functools.partial(batch_trial, reversed_box),
    "own batches: label out of range": functools.partial(batch_trial, wrong_label),
    "own batches: size that is NaN": functools.partial(batch_trial, nan_size),
}
