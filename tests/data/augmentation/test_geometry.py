import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.coloured import (
    assert_boxes_are_where_colours_are,
    coloured_example,
    extent,
    seen,
)
from tf_frcnn.data.augmentation.geometry import GREY, cropped, moved, placed, turned
from tf_frcnn.data.augmentation.plan import Augmentation
from tf_frcnn.data.decoding.resizing import Resizing
from tf_frcnn.data.pipeline.grouping import fields_of

SEEDS = st.tuples(st.integers(0, 2**62), st.integers(0, 2**62)).map(tf.constant)
RESIZING = Resizing((40,), 80, ((80, 80),))
# Red, green and blue; the green one is difficult.
BOXES, LABELS = [[4, 6, 24, 20], [10, 30, 18, 54], [28, 2, 36, 40]], [0, 1, 2]


@pytest.fixture
def example():
    return coloured_example(40, 60, BOXES, LABELS)


def seeds(number):
    return [tf.constant([7, k], tf.int64) for k in range(number)]


def sizes_of(examples):
    return {tuple(example.image.shape[:2]) for example in examples}


@settings(deadline=None, max_examples=20)
@given(seed=SEEDS)
def test_boxes_turn_with_their_image(seed):
    turn = turned(coloured_example(40, 60, BOXES, LABELS), seed)
    assert_boxes_are_where_colours_are(fields_of(turn))


def test_all_four_turns_are_drawn_and_the_first_is_counter_clockwise(example):
    turns = [turned(example, seed) for seed in seeds(40)]
    assert sizes_of(turns) == {(40, 60), (60, 40)}
    first_boxes = {tuple(turn.boxes[0].numpy().astype(int)) for turn in turns}
    # By hand: of 40 x 60 pixels, rows 4 to 24, columns 6 to 20.
    quarter, half, three = (40, 4, 54, 24), (16, 40, 36, 54), (6, 16, 20, 36)
    assert first_boxes == {(4, 6, 24, 20), quarter, half, three}


def test_proposals_turn_along_and_padded_ones_stay_zero():
    fields = {
        "proposals": tf.constant([[4.0, 6.0, 24.0, 20.0], [0.0, 0.0, 0.0, 0.0]]),
        "proposal_valid": tf.constant([True, False]),
    }
    example = coloured_example(40, 60, BOXES, LABELS, **fields)
    for seed in seeds(8):
        turn = turned(example, seed)
        np.testing.assert_array_equal(turn.fields["proposals"][0], turn.boxes[0])
        np.testing.assert_array_equal(turn.fields["proposals"][1], np.zeros(4))


@settings(deadline=None, max_examples=40)
@given(seed=SEEDS, cover=st.floats(0, 1), visible=st.floats(0, 1))
def test_a_crop_keeps_what_is_visible_and_drops_the_rest(seed, cover, visible):
    plan = Augmentation(crop=1.0, crop_cover=cover, min_visible=visible)
    whole = coloured_example(40, 60, BOXES, LABELS)
    part = cropped(whole, plan, seed)
    assert_boxes_are_where_colours_are(fields_of(part))
    kept = set(part.fields["labels"].numpy().tolist())
    for label in {*LABELS} - kept:
        left = seen(part.image, label).sum() / seen(whole.image, label).sum()
        assert left < visible or min(_sides(seen(part.image, label))) <= 1
    assert cover <= visible or kept


def _sides(mask):
    if not mask.any():
        return [0]
    ymin, xmin, ymax, xmax = extent(mask)
    return ymax - ymin, xmax - xmin


def test_parts_have_the_area_and_the_shape_asked_for(example):
    plan = Augmentation(crop=1.0, crop_area=0.4, crop_cover=0.1)
    parts = [cropped(example, plan, seed) for seed in seeds(40)]
    sizes = np.array([*sizes_of(parts)])
    assert len(sizes) > 20
    areas, shapes = sizes.prod(axis=1) / 2400, sizes[:, 1] / sizes[:, 0]
    assert areas.min() >= 0.38 and areas.max() <= 1.0
    assert shapes.min() >= 0.47 and shapes.max() <= 2.1


def test_as_many_images_are_cropped_as_asked_for(example):
    plan = Augmentation(crop=0.25, crop_cover=0.1)
    whole = [
        cropped(example, plan, seed).image.shape == (40, 60, 3) for seed in seeds(80)
    ]
    # 60 expected, with a standard deviation of 3.9.
    assert 48 <= sum(whole) <= 72


def test_an_image_without_objects_is_cropped():
    empty = coloured_example(40, 60, [], [])
    parts = [cropped(empty, Augmentation(crop=1.0), seed) for seed in seeds(5)]
    assert len(sizes_of(parts)) > 1
    assert all(part.boxes.shape == (0, 4) for part in parts)


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(
    seed=SEEDS,
    least=st.floats(0.2, 2),
    more=st.floats(0, 1),
    aspect=st.floats(0, 0.5),
    target=st.tuples(st.integers(30, 90), st.integers(30, 90)),
)
def test_placed_boxes_are_where_the_colours_are(seed, least, more, aspect, target):
    plan = Augmentation(scale=(least, least + more), aspect=aspect, min_visible=0.5)
    whole = coloured_example(40, 60, BOXES, LABELS, scales=tf.ones([2]))
    result = placed(whole, tf.constant(target, tf.int64), RESIZING, plan, seed)
    assert result.image.shape == (*target, 3)
    assert_boxes_are_where_colours_are(fields_of(result), tolerance=1.0)
    kept = set(result.fields["labels"].numpy().tolist())
    share = result.fields["scales"].numpy().prod()
    for label in {*LABELS} - kept:
        left = seen(result.image, label)
        area = seen(whole.image, label).sum() * share
        # A pixel on each side is in doubt.
        assert left.sum() < 0.5 * area + sum(_sides(left)) * 2 or min(_sides(left)) <= 2


def test_a_small_image_lies_on_grey_at_a_random_place(example):
    plan = Augmentation(scale=(0.5, 0.5))
    target = tf.constant([40, 60], tf.int64)
    corners = set()
    for seed in seeds(10):
        image = placed(example, target, RESIZING, plan, seed).image.numpy()
        inside = extent((image != GREY).any(axis=2))
        assert (inside[2:] - inside[:2]).tolist() == [20, 30]
        corners.add(tuple(inside[:2]))
    assert len(corners) > 5


def test_a_large_image_is_cut_at_a_random_place(example):
    plan = Augmentation(scale=(2.0, 2.0), min_visible=0.0)
    target = tf.constant([40, 60], tf.int64)
    results = [placed(example, target, RESIZING, plan, seed) for seed in seeds(10)]
    assert all((result.image.numpy() != GREY).all() for result in results)
    assert len({result.image.numpy().tobytes() for result in results}) > 5


def test_scale_one_fills_the_target_with_the_resized_image(example):
    target = tf.constant([80, 120], tf.int64)
    result = placed(example, target, RESIZING, Augmentation(), seeds(1)[0])
    np.testing.assert_allclose(result.boxes, 2 * np.array(BOXES), rtol=1e-6)
    expected = tf.image.resize(example.image, [80, 120])
    np.testing.assert_array_equal(result.image, expected)


def test_a_letterboxed_image_touches_two_sides_of_the_square(example):
    target = tf.constant([90, 90], tf.int64)
    image = placed(example, target, RESIZING, Augmentation(), seeds(1)[0]).image
    ymin, xmin, ymax, xmax = extent((image.numpy() != GREY).any(axis=2))
    assert (xmin, xmax) == (0, 90) and ymax - ymin == 60


def move(example, shift, min_visible=0.3):
    image = tf.zeros([40, 60, 3])
    shift = tf.constant(shift, tf.float32)
    return moved(example, image, tf.ones([2]), shift, min_visible)


def test_a_box_stays_if_enough_of_it_is_left(example):
    # Of the first box 14 columns; 8, 4 and 5 are left, that is 57, 29 and 36 %.
    assert move(example, [0, -12]).fields["labels"].numpy().tolist() == [0, 1, 2]
    assert move(example, [0, -16]).fields["labels"].numpy().tolist() == [1, 2]
    assert move(example, [0, -15]).fields["labels"].numpy().tolist() == [0, 1, 2]
    assert move(example, [0, -12], 0.6).fields["labels"].numpy().tolist() == [1, 2]


def test_a_box_of_a_pixel_stays_only_if_it_was_not_cut():
    example = coloured_example(40, 60, [[4, 6, 5, 20]], [1])
    assert len(move(example, [0, 0]).boxes) == 1
    assert len(move(example, [0, -8], 0.0).boxes) == 0


def test_what_leaves_the_image_is_dropped_whatever_share_is_asked_for(example):
    gone = move(example, [0, -60], 0.0)
    assert gone.boxes.shape == (0, 4) and gone.fields["difficult"].shape == (0,)


def test_a_crowd_stays_as_long_as_anything_of_it_is_left():
    crowd = tf.constant([True, False, True])
    example = coloured_example(40, 60, BOXES, LABELS, crowd=crowd)
    # A column of the first is left, none of the second less than a third.
    result = move(example, [0, -19])
    assert result.fields["labels"].numpy().tolist() == [0, 1, 2]
    assert result.fields["crowd"].numpy().tolist() == [True, False, True]


def test_proposals_without_area_become_invalid():
    fields = {
        "proposals": tf.constant([[4.0, 6.0, 24.0, 20.0], [4.0, 6.0, 24.0, 50.0]]),
        "proposal_valid": tf.constant([True, True]),
    }
    result = move(coloured_example(40, 60, BOXES, LABELS, **fields), [0, -20])
    assert result.fields["proposal_valid"].numpy().tolist() == [False, True]
    np.testing.assert_array_equal(result.fields["proposals"][1], [4, 0, 24, 30])
