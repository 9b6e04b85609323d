import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.coloured import (
    assert_boxes_are_where_colours_are,
    coloured_example,
    seen,
)
from tests.helpers.eagerly import eagerly
from tf_frcnn.data.augmentation.mosaic import mosaic_of, with_followers
from tf_frcnn.data.decoding.resizing import Resizing
from tf_frcnn.data.pipeline.grouping import fields_of

RESIZING = Resizing((64,), 128, ((128, 128),))
# Of four shapes, an object of its own colour in the middle of each.
SIZES = [(40, 60), (60, 40), (50, 50), (30, 80)]
FOUR = [
    coloured_example(h, w, [[h // 3, w // 3, 2 * h // 3, 2 * w // 3]], [label])
    for label, (h, w) in enumerate(SIZES)
]


@eagerly()
def mosaic(target, seed, min_visible=0.3):
    target, seed = tf.constant(target, tf.int64), tf.constant(seed, tf.int64)
    return mosaic_of(FOUR, target, RESIZING, min_visible, seed)


@pytest.mark.slow
@settings(deadline=None, max_examples=25)
@given(
    seed=st.tuples(st.integers(0, 2**62), st.integers(0, 2**62)),
    target=st.tuples(st.integers(60, 120), st.integers(60, 120)),
)
def test_the_boxes_of_a_mosaic_are_where_the_colours_are(seed, target):
    result = mosaic(target, seed)
    assert result.image.shape == (*target, 3)
    assert_boxes_are_where_colours_are(fields_of(result), tolerance=1.0)


def test_images_lie_in_the_order_of_reading_and_meet_in_the_middle():
    for seed in range(8):
        image = mosaic([100, 100], [seed, 0], 0.0).image.numpy()
        parts = {
            0: image[:70, :70],
            1: image[:70, 30:],
            2: image[30:, :70],
            3: image[30:, 30:],
        }
        for label, part in parts.items():
            assert seen(part, label).sum() == seen(image, label).sum()


def test_mosaics_differ_by_seed_and_repeat():
    first, again, other = (mosaic([100, 100], [s, 0]).image.numpy() for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_what_is_not_of_objects_is_of_the_first_image():
    fields = mosaic([100, 100], [0, 0]).fields
    assert fields["image_ids"] == b"image" and fields["rows"].shape == ()


def followers(number):
    dataset = tf.data.Dataset.range(number)
    images = dataset.map(lambda n: (n, tf.strings.as_string(n)))
    joined = list(with_followers(images, number).as_numpy_iterator())
    for indices, encoded in joined:
        assert [int(text) for text in encoded] == indices.tolist()
    return [indices.tolist() for indices, _ in joined]


def test_each_image_is_followed_by_the_next_three_in_a_circle():
    assert followers(5) == [
        [0, 1, 2, 3],
        [1, 2, 3, 4],
        [2, 3, 4, 0],
        [3, 4, 0, 1],
        [4, 0, 1, 2],
    ]


def test_few_images_follow_themselves():
    assert followers(2) == [[0, 1, 0, 1], [1, 0, 1, 0]]
    assert followers(1) == [[0, 0, 0, 0]]
