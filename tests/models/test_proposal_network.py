import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.config import LossSettings
from tf_frcnn.models import ProposalNetwork


@pytest.fixture(scope="module")
def image():
    """A batch of one image with a bright wide box."""
    images = np.random.default_rng(0).uniform(90, 110, [1, 96, 128, 3])
    images[0, 20:60, 30:100] = [250, 200, 40]
    return {
        "images": tf.constant(images, tf.float32),
        "image_sizes": tf.constant([[96.0, 128.0]]),
        "scales": tf.ones([1, 2]),
        "boxes": tf.constant([[[20.0, 30, 60, 100], [0, 0, 0, 0]]]),
        "labels": tf.constant([[0, -1]]),
        "image_ids": tf.constant(["a"]),
    }


@pytest.mark.slow
def test_an_rpn_alone_has_two_losses_and_learns_to_propose_the_object(
    tiny_detector, image
):
    model = tiny_detector(model_type=ProposalNetwork)
    model.compile(keras.optimizers.SGD(0.01, 0.9))
    data = tf.data.Dataset.from_tensors(image).repeat()
    history = model.fit(data, steps_per_epoch=200, epochs=1, verbose=0).history
    assert set(history) == {"loss", "rpn_class_loss", "rpn_box_loss", "decay_loss"}
    found = model.predict_on_batch(image)
    assert found["boxes"].shape == (1, 40, 4)
    gaps = np.abs(found["boxes"][0, :3] - [20, 30, 60, 100]).max(axis=1)
    assert gaps.min() < 10
    assert found["scores"][0, 0] > 0.8 and np.all(np.diff(found["scores"]) <= 0)


def test_proposals_of_a_call_are_in_pixels_of_the_file(tiny_detector, image):
    model = tiny_detector(model_type=ProposalNetwork)
    found = model(image)
    smaller = model(image | {"scales": tf.constant([[2.0, 4.0]])})
    np.testing.assert_allclose(
        smaller["boxes"] * [2, 4, 2, 4], found["boxes"], rtol=1e-5
    )


def test_the_losses_of_an_rpn_are_those_of_the_detector_around_it(tiny_detector, image):
    detector = tiny_detector()
    rpn = ProposalNetwork(
        detector.preprocessing,
        detector.backbone,
        detector.rpn,
        class_names=detector.class_names,
        weight_decay=0.0,
    )
    rpn.build()
    whole, own = (model.compute_losses(image, 3) for model in (detector, rpn))
    for name in ("rpn_class_loss", "rpn_box_loss"):
        np.testing.assert_allclose(own[name], whole[name], rtol=1e-6)
    np.testing.assert_allclose(
        own["loss"], own["rpn_class_loss"] + own["rpn_box_loss"], rtol=1e-6
    )


@pytest.mark.slow
def test_a_saved_rpn_proposes_like_the_original(tiny_detector, image, tmp_path):
    loss = {"rpn_sigma": None, "rpn_classes": "focal", "rpn_divisor": "objects"}
    model = tiny_detector(model_type=ProposalNetwork, loss=loss)
    model.save(tmp_path / "rpn.keras")
    loaded = keras.models.load_model(tmp_path / "rpn.keras")
    assert loaded.rpn.loss == LossSettings(**loss) == model.rpn.loss
    first, second = (m.predict_on_batch(image)["boxes"] for m in (model, loaded))
    np.testing.assert_allclose(first, second, atol=1e-4)
