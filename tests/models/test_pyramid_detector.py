import keras
import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn import layers
from tf_frcnn.models import FasterRCNN, RegionProposalNetwork, RoIHead

STRIDES = (8, 16, 32)


def small_pyramid():
    """Returns a backbone with a map of eight channels for each stride."""
    images = features = keras.Input((None, None, 3))
    maps = []
    for stride in (2, 4, *STRIDES):
        conv = keras.layers.Conv2D(8, 3, 2, padding="same", activation="relu")
        features = conv(features)
        if stride in STRIDES:
            maps.append(features)
    return keras.Model(images, maps)


def detector(level_rule="size", **rois):
    """Builds a detector whose RoIs do not use the coarsest map."""
    keras.utils.set_random_seed(1)
    counts = {"train_pre_nms": 50, "train_post_nms": 40}
    counts |= {"test_pre_nms": 30, "test_post_nms": 20}
    roi = {
        "num_samples": 16,
        "add_ground_truth": level_rule != "anchor",
        "pooling": "align",
        "pooled_size": 3,
        "head_units": 16,
        "dropout": 0.0,
        "level_rule": level_rule,
        **rois,
    }
    model = FasterRCNN(
        layers.Preprocessing({"mode": "unit"}),
        small_pyramid(),
        RegionProposalNetwork(
            STRIDES,
            anchors={"style": "centred", "scales": (3,)},
            rpn={"channels": 8, "score_form": "sigmoid", "allowed_border": None},
            proposals=counts | {"per_level": True},
        ),
        RoIHead(
            2,
            layers.FullyConnectedHead(roi),
            STRIDES[:2],
            roi=roi,
            detections={"score_threshold": 0.0, "max_per_image": 10},
        ),
        class_names=("wide", "tall"),
    )
    model.build()
    return model


@pytest.fixture(scope="module")
def batch():
    images = np.random.default_rng(0).uniform(90, 110, [2, 96, 128, 3])
    images[0, 20:60, 30:100] = [250, 200, 40]
    images[1, 10:75, 50:80] = [10, 30, 90]
    images[1, 80:], images[1, :, 100:] = 0, 0
    boxes = [[[20.0, 30, 60, 100], [0, 0, 0, 0]], [[10, 50, 75, 80], [70, 5, 80, 20]]]
    return {
        "images": tf.constant(images, tf.float32),
        "image_sizes": tf.constant([[96.0, 128], [80, 100]]),
        "scales": tf.ones([2, 2]),
        "boxes": tf.constant(boxes),
        "labels": tf.constant([[0, -1], [1, 0]]),
    }


def test_rois_are_pooled_from_the_map_for_their_size(batch):
    model = detector()
    proposals = model.propose(batch)
    # 112 pixels and more belong to stride 8 and up: canonical 224 on stride 16.
    boxes = tf.constant([[[0.0, 0, 50, 50], [0, 0, 300, 300]]])
    levels = model.roi_head._levels(proposals._replace(boxes=boxes))
    np.testing.assert_array_equal(levels, [[0, 1]])


def test_rois_may_be_pooled_from_the_map_of_their_anchor(batch):
    model = detector(level_rule="anchor")
    proposals = model.propose(batch)
    levels = tf.constant([[0, 1, 2]])
    found = model.roi_head._levels(proposals._replace(levels=levels))
    np.testing.assert_array_equal(found, [[0, 1, 1]])


def test_every_map_teaches_the_backbone_and_the_shared_rpn(batch):
    model = detector()
    model.compile(keras.optimizers.SGD(0.01))
    _, gradients = model._compute_losses_and_gradients(batch, 0)
    for gradient, variable in zip(gradients, model.trainable_variables, strict=True):
        assert np.abs(gradient).max() > 0, variable.path


def test_an_image_is_detected_alike_alone_and_beside_another(batch):
    model = detector()
    together = model(batch)
    for row in range(2):
        alone = model({name: values[row : row + 1] for name, values in batch.items()})
        for name in ("boxes", "scores"):
            np.testing.assert_allclose(
                together[name][row], alone[name][0], rtol=1e-4, atol=1e-3
            )


def test_xla_gives_the_same_losses_and_detections(batch):
    # The second stage sees the ground truth alone: rounding may reorder proposals.
    model = detector(num_samples=1, foreground_fraction=1.0, foreground_iou=0.9)
    losses, gradients = [], []
    for jit_compile in (False, True):
        model.compile(keras.optimizers.SGD(0.01), jit_compile=jit_compile)
        step = tf.function(lambda b: model._gradient_step(b, tf.constant(0)))
        for kept, result in zip((losses, gradients), step(batch), strict=True):
            kept.append(result)
    for name, loss in losses[0].items():
        np.testing.assert_allclose(losses[1][name], loss, rtol=1e-4)
    for gradient, compiled in zip(*gradients, strict=True):
        scale = np.abs(gradient).max()
        np.testing.assert_allclose(compiled, gradient, atol=1e-3 * scale)


def test_a_saved_pyramid_detects_like_the_original(batch, tmp_path):
    model = detector(level_rule="anchor", hard_examples=4)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.roi_head.roi == model.roi_head.roi
    expected, found = model(batch), loaded(batch)
    np.testing.assert_allclose(found["boxes"], expected["boxes"], atol=1e-4)


def test_the_six_results_need_one_map(batch):
    with pytest.raises(ValueError, match=r"strides \(8, 16, 32\)"):
        detector().rpn_results(batch)
