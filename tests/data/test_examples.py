from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.data.checks.problems import DataError, Problems
from tf_frcnn.data.examples import ExampleSet, Record, StoredImages, concatenate


def example_set(prefix, num_images, class_names=("cat",), most_boxes=0):
    """Records "a0", "a1", ... whose pictures' bytes are their ids."""
    ids = [f"{prefix}{i}" for i in range(num_images)]
    records = [
        Record(
            image_id,
            image_id,
            10,
            20,
            1,
            np.zeros([most_boxes, 4], np.float32),
            np.zeros([most_boxes], np.int32),
            np.zeros([most_boxes], bool),
            np.zeros([most_boxes], bool),
        )
        for image_id in ids
    ]
    problems = Problems()
    problems.add("missing_image", f"{prefix}-lost", "there is none")
    images = StoredImages(tf.constant(ids), are_paths=False)
    return ExampleSet(prefix, class_names, tuple(records), problems, images)


def streamed(examples, seed=None):
    """Returns the ids in streamed order, after checking index against bytes."""
    seed = None if seed is None else tf.constant(seed, tf.int64)
    pairs = list(examples.stream(seed).as_numpy_iterator())
    for index, data in pairs:
        assert examples.records[index].image_id == data.decode()
    return [data.decode() for _, data in pairs]


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


def test_sets_in_a_row_have_all_images_and_all_problems():
    joined = concatenate([example_set("a", 2), example_set("b", 3, most_boxes=7)])
    assert streamed(joined) == ["a0", "a1", "b0", "b1", "b2"]
    assert joined.problems.files("missing_image") == ["a-lost", "b-lost"]
    assert joined.max_boxes == 7 and joined.name == "a + b"


def test_shuffled_sets_are_mixed_evenly():
    joined = concatenate([example_set("a", 30), example_set("b", 60)])
    orders = [streamed(joined, seed) for seed in range(20)]
    assert all(len(set(order)) == 90 for order in orders)
    # Each third of a mixed order holds 10 of the 30 on average.
    thirds = np.mean(
        [
            [sum(x[0] == "a" for x in o[i : i + 30]) for i in (0, 30, 60)]
            for o in orders
        ],
        axis=0,
    )
    np.testing.assert_allclose(thirds, [10, 10, 10], atol=2)


def test_a_subset_of_joined_sets_draws_from_each():
    joined = concatenate([example_set("a", 3), example_set("b", 3)])
    assert streamed(joined.subset([1, 2, 4])) == ["a1", "a2", "b1"]
    assert streamed(joined.subset([3, 5])) == ["b0", "b2"]


def test_sets_with_other_classes_cannot_be_joined():
    with pytest.raises(DataError, match=r"a has the classes \('cat',\) but b has"):
        concatenate([example_set("a", 1), example_set("b", 1, ("dog",))])


def test_sets_that_share_an_image_id_cannot_be_joined():
    with pytest.raises(DataError, match="image id 'a0' occurs more than once"):
        concatenate([example_set("a", 2), example_set("a", 1)])


def test_a_set_without_boxes_still_has_room_for_one():
    assert example_set("a", 2).max_boxes == 1
