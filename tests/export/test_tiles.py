"""Exported models that cut large images into tiles."""

import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.data import make_shapes
from tf_frcnn.demo.detection import image_detector
from tf_frcnn.export.exported import ExportedDetector
from tf_frcnn.models import FasterRCNN

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model():
    model = FasterRCNN.from_preset(
        "quickstart",
        class_names=make_shapes(1, seed=0).class_names,
        tiles={"size": [64, 80], "overlap": 0.3, "max_per_image": 60},
        proposals={"test_pre_nms": 40, "test_post_nms": 10},
        detections={"score_threshold": 0.0, "max_per_image": 8, "nms_iou": 0.2},
    )
    # The four classes of random weights are too much alike.
    logits = model.roi_head.predictor.logits
    logits.set_weights([10 * logits.kernel.numpy(), logits.bias.numpy()])
    return model


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    """The version; writing it compares its signatures with the model."""
    return model.export(tmp_path_factory.mktemp("export"))


@pytest.fixture(scope="module")
def pictures():
    """A picture of many tiles and one that a tile holds."""
    rng = np.random.default_rng(0)
    return [
        rng.integers(0, 255, [*s, 3]).astype(np.uint8) for s in ((150, 190), (64, 50))
    ]


def assert_found(found, own):
    """Compares outputs of one image with a `Found`."""
    assert len(own.scores) > 3
    count = int(found["num_detections"][0])
    assert count == len(own.scores)
    boxes = found["detection_boxes"][0, :count] * np.tile(own.size, 2)
    np.testing.assert_allclose(boxes, own.boxes, atol=0.01)
    np.testing.assert_allclose(
        found["detection_scores"][0, :count], own.scores, atol=1e-4
    )
    assert found["detection_classes"].shape == (1, 60)


def test_its_signatures_cut_as_the_model_does(model, exported, pictures):
    signatures = tf.saved_model.load(exported).signatures
    expected = model.detect(pictures)
    files = tf.constant([tf.io.encode_png(picture).numpy() for picture in pictures])
    together = signatures["serving_default"](image_bytes=files)
    for row, own in enumerate(expected):
        alone = signatures["image_tensor"](image_tensor=pictures[row][np.newaxis])
        assert_found({name: v.numpy() for name, v in alone.items()}, own)
        ours = {
            name: values[row : row + 1].numpy() for name, values in together.items()
        }
        assert_found(ours, own)
    assert len(expected[0].scores) > model.settings.detections.max_per_image


def test_used_as_a_model_it_finds_the_same(model, exported, pictures):
    detector = ExportedDetector(exported)
    assert detector.settings.tiles.size == (64, 80)
    (own,) = model.detect(pictures[:1])
    found = detector.detect_in_tiles(tf.constant(pictures[0]))
    np.testing.assert_allclose(found["boxes"][found["valid"]], own.boxes, atol=0.01)
    assert found["labels"][found["valid"]].tolist() == own.labels.tolist()
    assert found["file_sizes"].tolist() == [150, 190]


def test_the_demo_shows_the_same(model, pictures):
    detect = image_detector(model, model.resizing, 10**6)
    shown = detect(tf.io.encode_png(pictures[0]).numpy())
    (own,) = model.detect(pictures[:1])
    assert [d["class"] for d in shown["detections"]] == list(own.names)
    assert (shown["height"], shown["width"]) == own.size
