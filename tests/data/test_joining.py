from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.named_sets import example_set, streamed
from tf_frcnn.data.checks.problems import DataError
from tf_frcnn.data.examples import StoredImages
from tf_frcnn.data.joining import JoinedImages, concatenate
from tf_frcnn.data.readers.streamed import SequentialImages


def test_sets_in_a_row_have_all_images_and_all_problems():
    joined = concatenate([example_set("a", 2), example_set("b", 3, most_boxes=7)])
    assert streamed(joined) == ["a0", "a1", "b0", "b1", "b2"]
    assert joined.problems.files("missing_image") == ["a-lost", "b-lost"]
    assert joined.max_boxes == 7 and joined.name == "a + b"


@pytest.mark.slow
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


def test_images_of_joined_sets_are_fetched_by_their_rows():
    joined = concatenate([example_set("a", 2), example_set("b", 3)])
    fetch = joined.images.fetch
    assert [fetch(row) for row in range(5)] == [b"a0", b"a1", b"b0", b"b1", b"b2"]


def test_no_image_is_fetched_where_a_part_comes_in_order_alone():
    stored = example_set("a", 1).images
    in_order = SequentialImages(tf.data.Dataset.from_tensors("b0"), np.array([0]), 1)
    assert in_order.fetch is None
    assert JoinedImages(((stored, 1), (in_order, 1))).fetch is None


def test_joined_sets_pass_over_a_missing_file_if_asked_to(tmp_path):
    examples = example_set("a", 1)
    none = StoredImages(tf.constant([str(tmp_path / "none")]), are_paths=True)
    joined = concatenate([examples, replace(example_set("b", 1), images=none)])
    stream = joined.stream(tolerant=True).as_numpy_iterator()
    assert [*stream] == [(0, b"a0"), (1, b"")]


def test_joined_sets_read_what_was_left_unread(tmp_path):
    (file := tmp_path / "b0").write_bytes(b"of a file")
    stored = StoredImages(tf.constant([str(file)]), are_paths=True)
    joined = concatenate(
        [example_set("a", 2), replace(example_set("b", 1), images=stored)]
    )
    unread = dict(joined.stream(unread=True).as_numpy_iterator())
    assert unread == {0: b"a0", 1: b"a1", 2: str(file).encode()}
    read = [
        joined.images.read(tf.constant(row), tf.constant(item)).numpy()
        for row, item in unread.items()
    ]
    assert read == [b"a0", b"a1", b"of a file"]
