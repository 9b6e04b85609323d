"""What a worker prepares of each batch."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.data.augmentation.plan import Augmentation
from tf_frcnn.data.decoding.resizing import Resizing
from tf_frcnn.data.pipeline import reading
from tf_frcnn.data.pipeline.balancing import balance
from tf_frcnn.data.pipeline.batching import evaluation_batches, training_batches
from tf_frcnn.data.pipeline.shards import Shard, filled_places

# Twice the size or once, on canvases for either.
RESIZING = Resizing((32, 64), 200, ((32, 64), (64, 32), (64, 128), (128, 64)))
SETTINGS = {"batch_size": 3, "flip": True, "drop_difficult": False, "seed": 7}


@pytest.fixture
def decoded(monkeypatch):
    """A variable that counts the images that are decoded."""
    count, read = tf.Variable(0, dtype=tf.int64), reading.read_image

    def counting(*of):
        count.assign_add(1)
        return read(*of)

    monkeypatch.setattr(reading, "read_image", counting)
    return count


def assert_parts_make(whole, shards):
    """Asserts that the parts of batches, put together, are the whole batches."""
    count = 0
    for batch, *parts in zip(whole, *shards, strict=True):
        places, weights = filled_places(len(batch["labels"]), len(parts))
        expected = {name: values[places] for name, values in batch.items()}
        expected["image_weights"] = weights
        assert expected.keys() == parts[0].keys()
        for name, values in expected.items():
            own = np.concatenate([part[name] for part in parts])
            np.testing.assert_array_equal(own, values, err_msg=name)
        count += 1
    assert count


def with_a_crowd(examples):
    """Gives the first image 12 boxes, for which a batch needs more rows."""
    first, *others = examples.records
    boxes = np.tile(np.array([[0, 0, 8, 8]], np.float32), [12, 1])
    marks = np.zeros(12, bool)
    first = first._replace(boxes=boxes, labels=np.full(12, 1, np.int32))
    first = first._replace(difficult=marks, crowd=marks)
    return replace(examples, records=(first, *others))


@pytest.mark.slow
@pytest.mark.parametrize("is_balanced", [False, True])
def test_the_parts_of_workers_are_the_whole_batch(is_balanced, painted_set):
    examples = with_a_crowd(painted_set())
    changes = {"augmentation": Augmentation(brightness=0.5), "cache": "memory"}
    if is_balanced:
        changes = {"balance": balance(examples, repeat_below=0.9)}

    def batches(shard=None):
        stream = training_batches(
            examples, RESIZING, **SETTINGS, **changes, shard=shard
        )
        return list(stream.take(8).as_numpy_iterator())

    whole = batches()
    assert {batch["labels"].shape[1] for batch in whole} == {8, 16}
    assert_parts_make(whole, [batches(Shard(number, 2, 1)) for number in range(2)])


def test_a_worker_decodes_its_own_images_only(painted_set, decoded):
    resizing = Resizing((32,), 64, ((32, 64),))
    batches = evaluation_batches(
        painted_set([(32, 50)] * 6), resizing, batch_size=4, shard=Shard(1, 2, 1)
    )
    rows = [batch["rows"].tolist() for batch in batches.as_numpy_iterator()]
    assert rows == [[2, 3], [5]] and int(decoded) == 3
