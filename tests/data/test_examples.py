from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.named_sets import example_set, streamed
from tf_frcnn.data.checks.problems import DataError
from tf_frcnn.data.examples import StoredImages


def test_without_a_seed_the_stored_order_is_kept():
    assert streamed(example_set("a", 4)) == ["a0", "a1", "a2", "a3"]


def test_a_seed_gives_one_order_of_all_images_and_another_seed_another():
    examples = example_set("a", 20)
    assert sorted(streamed(examples, 1)) == sorted(streamed(examples))
    assert streamed(examples, 1) == streamed(examples, 1)
    assert streamed(examples, 1) != streamed(examples, 2)
    assert streamed(examples, 1) != streamed(examples)


def test_every_order_of_three_images_is_about_equally_likely():
    examples = example_set("a", 3)
    seeds = tf.data.Dataset.range(600)
    orders = seeds.flat_map(lambda seed: examples.stream(seed).batch(3))
    indices = np.array([index for index, _ in orders.as_numpy_iterator()])
    _, counts = np.unique(indices, axis=0, return_counts=True)
    # 100 of each are expected, with a standard deviation of 9.
    assert len(counts) == 6 and counts.min() > 64 and counts.max() < 136


def test_a_subset_keeps_the_stored_order_and_its_own_images():
    examples = example_set("a", 6).subset([5, 0, 3])
    assert streamed(examples) == ["a0", "a3", "a5"]
    assert sorted(streamed(examples, 4)) == ["a0", "a3", "a5"]


def test_classes_in_another_order_rename_no_object():
    examples = example_set("a", 2, ("cat", "dog", "ape"), most_boxes=3)
    labels = np.array([0, 2, 1], np.int32)
    records = [record._replace(labels=labels) for record in examples.records]
    examples = replace(examples, records=tuple(records))
    ordered = examples.with_classes(["ape", "cat", "dog"])
    assert ordered.class_names == ("ape", "cat", "dog")
    for record in ordered.records:
        np.testing.assert_array_equal(record.labels, [1, 0, 2])
        assert record.labels.dtype == np.int32
    assert ordered.problems is examples.problems and streamed(ordered) == ["a0", "a1"]


@pytest.mark.parametrize("names", [["cat"], ["cat", "cow"], ["cat", "dog", "dog"]])
def test_other_classes_are_not_another_order(names):
    with pytest.raises(DataError, match="a has the classes cat, dog, not cat"):
        example_set("a", 1, ("cat", "dog")).with_classes(names)


def test_a_set_without_boxes_still_has_room_for_one():
    assert example_set("a", 2).max_boxes == 1


@pytest.fixture
def two_files(tmp_path):
    """Images in two files, the first of which is missing."""
    paths = [str(tmp_path / name) for name in ("a", "b")]
    (tmp_path / "b").write_bytes(b"bytes\0")
    return StoredImages(tf.constant(paths), are_paths=True)


def test_a_file_that_is_missing_ends_a_stream_or_has_no_bytes(two_files):
    with pytest.raises(tf.errors.NotFoundError):
        list(two_files.stream(None))
    stream = two_files.stream(None, tolerant=True).as_numpy_iterator()
    assert [*stream] == [(0, b""), (1, b"bytes\0")]


def test_images_are_fetched_by_their_rows(two_files):
    assert two_files.fetch(1) == b"bytes\0"
    with pytest.raises(FileNotFoundError):
        two_files.fetch(0)
    assert example_set("a", 4).subset([1, 3]).images.fetch(1) == b"a3"
