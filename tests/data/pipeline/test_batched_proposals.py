"""Cached proposals on their way through `training_batches`."""

import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.data.checks.problems import Problems
from tf_frcnn.data.decoding.resizing import Resizing
from tf_frcnn.data.examples import ExampleSet, Record, StoredImages
from tf_frcnn.data.pipeline.batching import evaluation_batches, training_batches
from tf_frcnn.data.pipeline.proposal_cache import CachedProposals

SIZES = [(32, 50), (64, 100)]
# Image 0 has one proposal and a padded row, image 1 two, of which one is all of it.
PROPOSALS = CachedProposals(
    np.array(
        [[[4, 2, 20, 12], [0, 0, 0, 0]], [[8, 4, 40, 24], [0, 0, 64, 100]]], np.float32
    ),
    np.array([[True, False], [True, True]]),
)


def example_set():
    """Two black images; only the larger has an object, at columns 10 to 30."""
    box = np.array([[0, 10, 64, 30]], np.float32)
    columns = box, np.array([0], np.int32), np.array([False]), np.array([False])
    records = [
        Record(str(i), f"{i}.png", *size, 1, *(column[:i] for column in columns))
        for i, size in enumerate(SIZES)
    ]
    images = [tf.io.encode_png(np.zeros([*size, 3], np.uint8)) for size in SIZES]
    return ExampleSet(
        "black",
        ("object",),
        tuple(records),
        Problems(),
        StoredImages(tf.stack(images), are_paths=False),
    )


def training(*, short_sides=(32,), **changes):
    resizing = Resizing(short_sides, 128, ((32, 64), (64, 128)))
    settings = {
        "batch_size": 2,
        "flip": True,
        "drop_difficult": False,
        "seed": 0,
        "proposals": PROPOSALS,
        **changes,
    }
    return training_batches(example_set(), resizing, **settings)


def rows_of(batches):
    """Yields image and the row of a batch, as a dict of arrays, for each image."""
    for batch in batches.as_numpy_iterator():
        for row, image_id in enumerate(batch["image_ids"]):
            yield int(image_id), {key: values[row] for key, values in batch.items()}


@pytest.mark.slow
def test_proposals_are_resized_and_mirrored_with_their_images():
    # Image 1 is halved: both are 32 x 50, and 50 - 12 = 38, 50 - 2 = 48.
    expected = {
        (0, False): [[4, 2, 20, 12], [0, 0, 0, 0]],
        (0, True): [[4, 38, 20, 48], [0, 0, 0, 0]],
        (1, False): [[4, 2, 20, 12], [0, 0, 32, 50]],
        (1, True): [[4, 38, 20, 48], [0, 0, 32, 50]],
    }
    seen = set()
    for image, row in rows_of(training().take(8)):
        is_mirrored = bool(row["proposals"][0, 1] == 38)
        np.testing.assert_array_equal(row["proposals"], expected[image, is_mirrored])
        np.testing.assert_array_equal(row["proposal_valid"], PROPOSALS.valid[image])
        box = [[0, 35, 32, 45] if is_mirrored else [0, 5, 32, 15]]
        np.testing.assert_array_equal(row["boxes"], box if image else [[0] * 4])
        seen.add((image, is_mirrored))
    assert seen == set(expected)


def test_evaluation_gives_proposals_unmirrored():
    resizing = Resizing((32,), 128, ((32, 64),))
    batches = evaluation_batches(
        example_set(), resizing, batch_size=2, proposals=PROPOSALS
    )
    (batch,) = batches.as_numpy_iterator()
    np.testing.assert_array_equal(
        batch["proposals"],
        [[[4, 2, 20, 12], [0, 0, 0, 0]], [[4, 2, 20, 12], [0, 0, 32, 50]]],
    )
    np.testing.assert_array_equal(batch["proposal_valid"], PROPOSALS.valid)


@pytest.mark.slow
def test_proposals_follow_the_size_that_was_drawn():
    scales = set()
    for image, row in rows_of(training(short_sides=(32, 64), flip=False).take(12)):
        scale = row["scales"][0]
        expected = PROPOSALS.boxes[image] * scale
        np.testing.assert_array_equal(row["proposals"], expected)
        scales.add((image, float(scale)))
    assert scales == {(0, 1.0), (0, 2.0), (1, 0.5), (1, 1.0)}


def test_rows_that_are_not_valid_come_out_as_zeros():
    boxes = PROPOSALS.boxes + 1
    for image, row in rows_of(
        training(proposals=PROPOSALS._replace(boxes=boxes)).take(4)
    ):
        assert (row["proposals"].any(axis=1) == PROPOSALS.valid[image]).all()


@pytest.mark.slow
def test_proposals_change_nothing_else_of_a_batch():
    batches = training(short_sides=(32, 64))
    without = training(short_sides=(32, 64), proposals=None)
    for (_, row), (_, expected) in zip(
        rows_of(batches.take(6)), rows_of(without.take(6)), strict=True
    ):
        assert set(row) - set(expected) == {"proposals", "proposal_valid"}
        for key, values in expected.items():
            np.testing.assert_array_equal(row[key], values)
    spec = batches.element_spec
    assert spec["proposals"] == tf.TensorSpec([None, 2, 4], tf.float32)
    assert spec["proposal_valid"] == tf.TensorSpec([None, 2], tf.bool)


@pytest.mark.slow
def test_a_resumed_stream_has_the_same_proposals():
    whole = list(rows_of(training(short_sides=(32, 64)).take(5)))[4:]
    resumed = list(rows_of(training(short_sides=(32, 64), start_epoch=2).take(3)))
    for (image, row), (other, expected) in zip(resumed, whole, strict=True):
        assert image == other
        np.testing.assert_array_equal(row["proposals"], expected["proposals"])
