"""Small detectors and data for the tests of what a user calls."""

import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.data import make_shapes
from tf_frcnn.data.decoding.transforms import decode_image
from tf_frcnn.models import FasterRCNN

# Of a detector that takes a tenth of a second per step.
SMALL = {
    "images": {"short_side": 64, "long_side": 96},
    "anchors": {"scales": [1, 2]},
    "rpn": {"channels": 8},
    "proposals": {
        "train_pre_nms": 60,
        "train_post_nms": 20,
        "test_pre_nms": 40,
        "test_post_nms": 10,
    },
    "roi": {"num_samples": 16, "head_units": 8, "dropout": 0.0},
    "detections": {"score_threshold": 0.0, "max_per_image": 8},
    "train": {"learning_rate": 0.001, "clip_norm": 1.0},
    "data": {"batch_size": 2},
}


@pytest.fixture(scope="session")
def shapes():
    """Six images, upright and lying, so that they need two canvases."""
    examples = make_shapes(12, seed=4)
    lies = [record.width > record.height for record in examples.records]
    of_each = [[n for n, lying in enumerate(lies) if lying == kind] for kind in (0, 1)]
    return examples.subset([*of_each[0][:3], *of_each[1][:3]])


@pytest.fixture(scope="session")
def small_detector(shapes):
    """Builds detectors of the shapes' classes; settings replace those of a section."""

    def build(*, box_format="yxyx", **settings):
        sections = {
            name: SMALL.get(name, {}) | settings.get(name, {})
            for name in {*SMALL, *settings}
        }
        return FasterRCNN.from_preset(
            "quickstart",
            class_names=shapes.class_names,
            box_format=box_format,
            **sections,
        )

    return build


@pytest.fixture
def eager_detector(small_detector):
    """Builds such detectors compiled to run eagerly, without seconds of tracing."""

    def build(optimizer=None, **settings):
        model = small_detector(**settings)
        model.compile(optimizer, run_eagerly=True)
        return model

    return build


@pytest.fixture(scope="session")
def elements(shapes):
    """The shapes as dicts of arrays: image, boxes, labels."""
    found = {}
    for row, data in shapes.stream().as_numpy_iterator():
        record = shapes.records[row]
        image = decode_image(tf.constant(data), tf.constant(record.orientation))
        found[row] = {
            "image": image.numpy(),
            "boxes": record.boxes,
            "labels": record.labels,
        }
    return [found[row] for row in range(len(found))]


@pytest.fixture(scope="session")
def dataset_of():
    """Makes a dataset of such elements, whose length is known or not."""
    signature = {
        "image": tf.TensorSpec([None, None, 3], tf.uint8),
        "boxes": tf.TensorSpec([None, 4], tf.float32),
        "labels": tf.TensorSpec([None], tf.int32),
    }

    def build(elements, *, is_known=True):
        dataset = tf.data.Dataset.from_generator(
            lambda: iter(elements), output_signature=signature
        )
        if not is_known:
            return dataset
        return dataset.apply(tf.data.experimental.assert_cardinality(len(elements)))

    return build


@pytest.fixture(scope="session")
def singles(elements, dataset_of):
    """The shapes as a dataset of single examples."""
    return dataset_of(elements)


@pytest.fixture(scope="session")
def batch():
    """Two noisy images of 64 x 96 pixels, each with a bright box of class 0."""
    images = np.random.default_rng(0).uniform(90, 110, [2, 64, 96, 3])
    images[:, 20:50, 30:70] = [250, 200, 40]
    boxes, labels = np.zeros([2, 3, 4]), np.full([2, 3], -1)
    boxes[:, 0], labels[:, 0] = [20, 30, 50, 70], 0
    return {
        "images": images.astype(np.float32),
        "boxes": boxes.astype(np.float32),
        "labels": labels.astype(np.int32),
    }
