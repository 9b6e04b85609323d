import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.models.step_figures import (
    collected,
    covered_objects,
    foreground_rois,
    note,
    num_images,
    positive_anchors,
)
from tf_frcnn.structures import Proposals

LABELS = tf.constant([[1, 1, 0, -1, 1], [0, 0, 1, 0, -1]])
# As of a batch of one image that two devices divide: the second is a copy.
WEIGHTS = tf.constant([2.0, 0.0])


def numbers(figures):
    return {name: value.numpy().tolist() for name, value in figures.items()}


def test_positive_anchors_are_those_of_an_image_on_average():
    assert numbers(positive_anchors(LABELS, None)) == {"positive_anchors": 2.0}
    assert numbers(positive_anchors(LABELS, WEIGHTS)) == {"positive_anchors": 3.0}


def test_rois_are_counted_by_class_without_background_and_unused_rows():
    labels = tf.constant([[2, 2, 1, 0, -1], [2, 0, 0, 3, -1]])
    assert numbers(foreground_rois(labels, 3, None)) == {"class_rois": [0.5, 1.5, 0.5]}
    assert numbers(foreground_rois(labels, 3, WEIGHTS)) == {"class_rois": [1, 2, 0]}


def test_images_that_fill_up_a_divided_batch_do_not_count():
    batch = {"images": tf.zeros([2, 8, 8, 3])}
    assert numbers(num_images(batch)) == {"images": 2.0}
    assert numbers(num_images(batch | {"image_weights": WEIGHTS})) == {"images": 1.0}


@pytest.fixture
def three_objects():
    """Two objects on the first image, one of them a crowd; on the second two."""
    boxes = [[[0, 0, 10, 10], [20, 20, 30, 30]], [[0, 0, 10, 10], [40, 40, 60, 60]]]
    batch = {
        "labels": tf.constant([[0, 1], [1, 0]]),
        "crowd": tf.constant([[False, True], [False, False]]),
    }
    return tf.constant(boxes, tf.float32), batch


def proposals_of(boxes, valid):
    boxes = tf.constant(boxes, tf.float32)
    zeros = tf.zeros(boxes.shape[:2])
    return Proposals(boxes, zeros, tf.constant(valid), tf.cast(zeros, tf.int32))


def test_objects_are_covered_from_an_iou_of_a_half(in_mode, three_objects):
    half, less, far = [0, 0, 10, 5], [0, 0, 10, 4.9], [40, 40, 60, 60]
    proposals = proposals_of([[less, half], [less, far]], [[True, True], [True, False]])
    boxes, batch = three_objects

    def run(boxes, labels, crowd, *proposals):
        batch = {"labels": labels, "crowd": crowd}
        return covered_objects(Proposals(*proposals), boxes, batch)

    found = in_mode(run)(boxes, batch["labels"], batch["crowd"], *proposals)
    # Of one countable object, and of two, of which a padded row alone covers one.
    assert {n: float(v) for n, v in found.items()} == {
        "objects": 1.5,
        "covered_objects": 0.5,
    }


def test_padded_objects_are_none(three_objects):
    boxes, _ = three_objects
    batch = {"labels": tf.constant([[0, -1], [-1, -1]])}
    proposals = proposals_of([[[0, 0, 10, 10]]] * 2, [[True]] * 2)
    found = numbers(covered_objects(proposals, boxes, batch))
    assert found == {"objects": 0.5, "covered_objects": 0.5}


def test_figures_are_computed_where_they_are_collected_alone():
    def refuse():
        raise AssertionError

    note(refuse)
    with collected() as figures:
        note(lambda: {"a": tf.constant(1.0)})
        with collected() as inner:
            note(lambda: {"b": tf.constant(2.0)})
    note(refuse)
    assert numbers(figures) == {"a": 1.0} and numbers(inner) == {"b": 2.0}


@pytest.mark.slow
def test_a_step_has_its_figures_beside_its_losses(small_detector, shapes):
    model = small_detector()
    model.compile("sgd")
    batch = next(iter(model.evaluation_batches(shapes, 2).with_objects().dataset))
    batch = {n: v for n, v in batch.items() if n != "image_ids"}
    losses, _ = model._compute_losses_and_gradients(batch, 0)
    own = {name: losses.pop(name) for name in [*losses] if name not in model.loss_names}
    assert losses.keys() == {*model.loss_names}
    objects = (batch["labels"].numpy() >= 0).sum(axis=1)
    assert float(own["objects"]) == objects.mean() > 0
    assert 0 <= float(own["covered_objects"]) <= float(own["objects"])
    assert own["class_rois"].shape == len(model.class_names)
    # Without them the losses are those of the figures' step.
    again = model.compute_losses(batch, 0, training=True)
    for name, value in losses.items():
        np.testing.assert_array_equal(again[name], value)
