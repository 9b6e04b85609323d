"""Small example sets that need no files."""

import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.data.checks.problems import Problems
from tf_frcnn.data.examples import ExampleSet, Record, StoredImages


@pytest.fixture(scope="session")
def set_of():
    """Makes a set of (height, width, boxes, labels) per image; it has no pixels."""

    def make(images, class_names):
        records = tuple(
            Record(
                str(row),
                f"{row}.png",
                height,
                width,
                1,
                np.array(boxes, np.float32).reshape(-1, 4),
                np.array(labels, np.int32),
                np.zeros(len(labels), bool),
            )
            for row, (height, width, boxes, labels) in enumerate(images)
        )
        stored = StoredImages(tf.constant([""] * len(records)), are_paths=True)
        return ExampleSet("drawn", class_names, records, Problems(), stored)

    return make


@pytest.fixture(scope="session")
def squares_of(set_of):
    """Makes a set whose images have squares: class -> (side, number per image)."""

    def make(classes, height=480, width=640, num_images=12):
        rng, images = np.random.default_rng(0), []
        for _ in range(num_images):
            boxes, labels = [], []
            for label, (side, number) in enumerate(classes.values()):
                places = rng.uniform(0, (height - side, width - side), (number, 2))
                boxes += [(y, x, y + side, x + side) for y, x in places]
                labels += [label] * number
            images.append((height, width, boxes, labels))
        return set_of(images, tuple(classes))

    return make
