import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.coloured import (
    assert_boxes_are_where_colours_are,
    coloured_example,
)
from tests.helpers.eagerly import eagerly
from tf_frcnn.data.augmentation.applying import augment_example
from tf_frcnn.data.augmentation.plan import NO_AUGMENTATION, Augmentation
from tf_frcnn.data.decoding.resizing import RESIZE_METHODS, Resizing
from tf_frcnn.data.pipeline.grouping import resize_example

RESIZING = Resizing((60,), 120, ((120, 120),))
SIZES = [(40, 60), (60, 40), (50, 50), (30, 80)]
FOUR = [
    coloured_example(h, w, [[h // 4, w // 4, 3 * h // 4, 3 * w // 4]], [label])
    for label, (h, w) in enumerate(SIZES)
]
BOXES, LABELS = [[4, 6, 24, 20], [10, 30, 18, 54], [28, 2, 36, 40]], [0, 1, 2]
THREE = coloured_example(40, 60, BOXES, LABELS)


@eagerly()
def augmented(plan, seed=(1, 2), resizing=RESIZING, read=lambda _: THREE, flip=True):
    flip_seed = tf.constant([seed[1], 7], tf.int64) if flip else None
    return augment_example(
        read,
        resizing,
        plan,
        short_side=tf.constant(resizing.short_sides[0], tf.int64),
        flip_seed=flip_seed,
        seed=tf.constant(seed, tf.int64),
    )


PLANS = st.fixed_dictionaries(
    {
        "rotate": st.booleans(),
        "crop": st.sampled_from([0.0, 0.5, 1.0]),
        "crop_area": st.floats(0.2, 1),
        "mosaic": st.sampled_from([0.0, 0.5, 1.0]),
        "letterbox": st.booleans(),
        "scale": st.sampled_from([(1.0, 1.0), (0.8, 1.25), (0.4, 2.0)]),
        "aspect": st.sampled_from([0.0, 0.3]),
        "min_visible": st.floats(0.1, 1),
    }
).map(lambda settings: Augmentation(**settings))


@pytest.mark.slow
@settings(deadline=None, max_examples=25)
@given(plan=PLANS, seed=st.tuples(st.integers(0, 2**62), st.integers(0, 2**62)))
def test_whatever_is_drawn_boxes_are_where_the_colours_are(plan, seed):
    fields = augmented(plan, seed, read=FOUR.__getitem__)
    # In a mosaic that is placed, colours are mixed at the seams, twice.
    assert_boxes_are_where_colours_are(fields, tolerance=2.0)
    assert fields["images"].dtype == tf.float32
    height, width = fields["images"].shape[:2]
    np.testing.assert_array_equal(fields["image_sizes"], [height, width])
    if plan.letterbox:
        assert (height, width) == (60, 60)
    elif max(height, width) < 120:
        assert min(height, width) == 60


@pytest.mark.slow
@settings(deadline=None, max_examples=8)
@given(plan=PLANS, seed=st.tuples(st.integers(0, 2**62), st.integers(0, 2**62)))
def test_a_seed_repeats_all_draws_and_colours_move_nothing(plan, seed):
    first = augmented(plan, seed, read=FOUR.__getitem__)
    coloured = plan.replace(brightness=0.3, hue=0.1)
    for again in (plan, coloured):
        other = augmented(again, seed, read=FOUR.__getitem__)
        for name in first.keys() - {"images"} | (
            {"images"} if again is plan else set()
        ):
            np.testing.assert_array_equal(first[name], other[name], err_msg=name)
    assert (other["images"].numpy() != first["images"].numpy()).any()


@pytest.mark.parametrize("method", RESIZE_METHODS)
def test_no_augmentation_is_resizing_bit_for_bit(method):
    resizing = RESIZING._replace(method=method)
    assert NO_AUGMENTATION.is_none and Augmentation(min_visible=0.9).is_none
    fields = augmented(NO_AUGMENTATION, resizing=resizing)
    flip_seed = tf.constant([2, 7], tf.int64)
    expected = resize_example(THREE, resizing, flip_seed=flip_seed)
    assert fields.keys() == expected.keys()
    for name in fields:
        np.testing.assert_array_equal(fields[name], expected[name], err_msg=name)


@pytest.mark.parametrize("method", RESIZE_METHODS)
def test_the_method_of_the_recipe_makes_the_pixels(method):
    # A factor so near one that the size is the same.
    plan = Augmentation(scale=(1.0, 1.000001))
    resizing = RESIZING._replace(method=method)
    fields = augmented(plan, resizing=resizing, flip=False)
    expected = resize_example(THREE, resizing)
    np.testing.assert_allclose(fields["images"], expected["images"], atol=1e-2)
    for name in ("image_sizes", "scales", "file_sizes"):
        np.testing.assert_allclose(fields[name], expected[name], rtol=1e-6)


def test_scales_are_those_of_the_image_and_sizes_those_of_what_is_seen():
    fields = augmented(Augmentation(scale=(0.5, 0.5)), flip=False)
    np.testing.assert_allclose(fields["scales"], [0.75, 0.75])
    np.testing.assert_array_equal(fields["image_sizes"], [60, 90])
    np.testing.assert_array_equal(fields["file_sizes"], [40, 60])


def test_the_function_of_a_user_comes_first():
    def darken(image, boxes, labels, seed):
        return image // 2, boxes, labels

    fields = augmented(Augmentation(function=darken, scale=(0.5, 0.5)))
    assert fields["images"].numpy().max() == 128  # the grey around, not halved
    fields = augmented(Augmentation(function=darken))
    assert fields["images"].numpy().max() == 127


@pytest.mark.slow
def test_it_runs_in_a_graph_as_eagerly():
    plan = Augmentation(rotate=True, crop=0.5, mosaic=0.5, brightness=0.2)
    seeds = [(3, place) for place in range(3)]
    graph = tf.data.Dataset.from_tensor_slices(tf.constant(seeds, tf.int64)).map(
        lambda seed: augment_example(
            lambda k: tf.switch_case(k, [lambda one=one: one for one in FOUR]),
            RESIZING,
            plan,
            short_side=tf.constant(60, tf.int64),
            flip_seed=None,
            seed=seed,
        )
    )
    for seed, fields in zip(seeds, graph, strict=True):
        expected = augmented(plan, seed, read=FOUR.__getitem__, flip=False)
        for name in ("boxes", "labels", "difficult", "image_sizes"):
            np.testing.assert_allclose(fields[name], expected[name], atol=1e-3)
