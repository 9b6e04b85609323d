"""Batches of packed examples: where their pixels lie, and how many rows they have."""

import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.data.pipeline.grouping import group_into_batches, pad_by_groups
from tf_frcnn.data.pipeline.packing import packed, unpacked
from tf_frcnn.data.pipeline.padding import padded_number


def examples_of(counts, groups=None):
    """Returns (group, fields) of images of one colour, with so many boxes each."""

    def example(row, count, group):
        height, width = 3 + row % 2, 5 - row % 2
        fields = {
            "images": tf.fill([height, width, 3], 1.0 + tf.cast(row, tf.float32)),
            "image_sizes": tf.cast(tf.stack([height, width]), tf.float32),
            "boxes": tf.fill([count, 4], tf.cast(row, tf.float32)),
            "labels": tf.fill([count], 2),
            "rows": row,
        }
        return group, fields

    groups = groups or [0] * len(counts)
    rows = np.arange(len(counts))
    numbers = tf.data.Dataset.from_tensor_slices((rows, counts, np.int64(groups)))
    return numbers.map(example)


@pytest.mark.parametrize(
    ("count", "rows"),
    [(0, 8), (1, 8), (8, 8), (9, 16), (16, 16), (17, 32), (700, 1024)],
)
def test_rows_are_padded_to_few_numbers(count, rows):
    assert padded_number(tf.constant(count)).numpy() == rows


def test_what_was_packed_is_the_same_afterwards():
    ((_, fields),) = examples_of([3])
    spec = {name: tf.TensorSpec(None, value.dtype) for name, value in fields.items()}
    again = unpacked(packed(fields), spec)
    assert again.keys() == fields.keys()
    for name, value in fields.items():
        np.testing.assert_array_equal(again[name], value)


@pytest.mark.parametrize("num_workers", [None, 1, 2])
def test_a_crowded_image_makes_its_own_batch_larger_alone(num_workers):
    canvases = tf.constant([[4, 6], [8, 8]])
    batches = group_into_batches(
        examples_of([1, 0, 20, 2, 3]), canvases, 2, num_workers=num_workers
    )
    assert [b["labels"].shape[1] for b in batches] == [8, 32, 8]
    first, crowded, last = batches.as_numpy_iterator()
    np.testing.assert_array_equal(crowded["rows"], [2, 3])
    np.testing.assert_array_equal((crowded["labels"] == 2).sum(axis=1), [20, 2])
    np.testing.assert_array_equal(crowded["boxes"][0, :20], np.full([20, 4], 2.0))
    assert not crowded["boxes"][0, 20:].any() and (crowded["labels"][0, 20:] < 0).all()
    # 3 x 5 pixels of the value 1, and 4 x 4 of the value 2, in the corner.
    expected = np.zeros([2, 4, 6, 3])
    expected[0, :3, :5], expected[1, :4, :4] = 1.0, 2.0
    np.testing.assert_array_equal(first["images"], expected)
    assert last["images"].shape == (1, 4, 6, 3)


def test_a_known_small_number_of_rows_is_kept():
    batches = group_into_batches(examples_of([1, 0, 2]), 4, 2, num_boxes=3)
    assert batches.element_spec["labels"].shape[1] == 3
    assert [b["boxes"].shape for b in batches] == [(2, 3, 4), (1, 3, 4)]


def test_images_of_a_group_share_batches_and_the_rest_are_mixed():
    examples = examples_of([1] * 6, groups=[0, 1, 0, 1, 1, 0])
    apart = group_into_batches(examples, 4, 2)
    apart = [b["rows"].numpy().tolist() for b in apart]
    assert apart[:2] == [[0, 2], [1, 3]] and sorted(apart[2:]) == [[4], [5]]
    mixed = [b["rows"].numpy().tolist() for b in pad_by_groups(examples, 4, 2)]
    assert mixed[:2] == [[0, 2], [1, 3]] and sorted(mixed[2]) == [4, 5]
