"""Data sets whose images' bytes are their ids."""

import numpy as np
import tensorflow as tf

from tf_frcnn.data.checks.problems import Problems
from tf_frcnn.data.examples import ExampleSet, Record, StoredImages


def example_set(prefix, num_images, class_names=("cat",), most_boxes=0):
    """Records "a0", "a1", ... whose pictures' bytes are their ids."""
    ids = [f"{prefix}{i}" for i in range(num_images)]
    records = [
        Record(
            image_id,
            image_id,
            10,
            20,
            1,
            np.zeros([most_boxes, 4], np.float32),
            np.zeros([most_boxes], np.int32),
            np.zeros([most_boxes], bool),
            np.zeros([most_boxes], bool),
        )
        for image_id in ids
    ]
    problems = Problems()
    problems.add("missing_image", f"{prefix}-lost", "there is none")
    images = StoredImages(tf.constant(ids), are_paths=False)
    return ExampleSet(prefix, class_names, tuple(records), problems, images)


def streamed(examples, seed=None):
    """Returns the ids in streamed order, after checking index against bytes."""
    seed = None if seed is None else tf.constant(seed, tf.int64)
    pairs = list(examples.stream(seed).as_numpy_iterator())
    for index, data in pairs:
        assert examples.records[index].image_id == data.decode()
    return [data.decode() for _, data in pairs]
