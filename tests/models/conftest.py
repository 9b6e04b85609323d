"""Small detectors and data for the tests of what a user calls."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.short_backbone import SHORT
from tf_frcnn.backbones import BACKBONES
from tf_frcnn.data import make_shapes
from tf_frcnn.data.decoding.transforms import decode_image
from tf_frcnn.models import FasterRCNN
from tf_frcnn.models.data_model import DataModel

# Of a detector that takes a tenth of a second per step.
SMALL = {
    "images": {"short_side": 64, "long_side": 96},
    "backbone": {"name": "short"},
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


@pytest.fixture(scope="module", autouse=True)
def short_backbone():
    """Has the small detectors' backbone among the others."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BACKBONES, "short", SHORT)
        yield


@pytest.fixture(scope="session")
def shapes():
    """Two upright and two lying images, mixed: they need two canvases."""
    examples = make_shapes(12, seed=4)
    lies = [record.width > record.height for record in examples.records]
    upright, lying = lies.index(False), lies.index(True)
    return examples.subset(
        [upright, lying, lies.index(False, upright + 1), lies.index(True, lying + 1)]
    )


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


class Stub(DataModel):
    """A model without a network, whose weight each step increases by one.

    Attributes:
        trained, tested: the batches that its steps were given.
    """

    def __init__(self, settings, class_names):
        super().__init__()
        self._settings, self.class_names = settings, class_names
        self.box_format, self.roi_head = "yxyx", None
        self.weight = self.add_weight(shape=(), initializer="zeros", name="weight")
        self.built = True
        self.trained, self.tested = [], []

    settings = property(lambda self: self._settings)
    metrics = property(lambda self: [])

    def train_step(self, batch):
        self.trained.append(batch)
        self.optimizer.apply([tf.constant(-1000.0)], [self.weight])
        return {"loss": tf.constant(0.5), "rpn_box_loss": tf.constant(0.25)}

    def test_step(self, batch):
        self.tested.append(batch)
        return {"loss": tf.constant(2.0)}


@pytest.fixture
def stub(small_detector, shapes):
    """Builds stubs with the settings of a small detector, compiled."""
    settings = small_detector().settings

    def build():
        model = Stub(settings, shapes.class_names)
        model.compile(keras.optimizers.SGD(0.001), run_eagerly=True)
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
