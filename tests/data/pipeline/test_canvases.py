import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tf_frcnn.data.checks.problems import DataError
from tf_frcnn.data.decoding.resizing import Resizing, plan_resize
from tf_frcnn.data.decoding.to_canvas import own_canvases
from tf_frcnn.data.examples import Record
from tf_frcnn.data.pipeline.canvases import (
    canvas_groups,
    derive_canvases,
    listed_canvases,
    network_sizes,
)


def record(height, width):
    boxes, labels = np.zeros([0, 4], np.float32), np.zeros([0], np.int32)
    marks = np.zeros([2, 0], bool)
    return Record("a", "a.png", height, width, 1, boxes, labels, *marks)


def sizes_of(records, short_sides, long_side):
    """Returns the sizes [n, sides, 2] of n records at each short side."""
    return network_sizes(records, Resizing(short_sides, long_side, ()))


def test_canvases_are_a_square_four_thirds_and_the_longest_in_both_directions():
    assert derive_canvases(600, 1000) == (
        (608, 608),
        (608, 800),
        (800, 608),
        (608, 1024),
        (1024, 608),
    )


def test_canvases_that_coincide_are_listed_once():
    assert derive_canvases(64, 64) == ((64, 64),)
    assert derive_canvases(128, 140, multiple=1) == (
        (128, 128),
        (128, 140),
        (140, 128),
    )


def test_canvases_of_several_sides_are_those_of_each_smallest_first():
    several = derive_canvases([600, 480], 1000)
    assert set(several) == {
        *derive_canvases(480, 1000),
        *derive_canvases(600, 1000),
    }
    areas = [height * width for height, width in several]
    assert areas == sorted(areas) and several[0] == (480, 480)


def test_each_image_has_a_size_for_each_short_side():
    records = [record(300, 400), record(400, 300), record(100, 400)]
    np.testing.assert_array_equal(
        sizes_of(records, (60, 120), 200),
        [
            [[60, 80], [120, 160]],
            [[80, 60], [160, 120]],
            [[50, 200], [50, 200]],  # the long side decides
        ],
    )


def test_the_sizes_are_those_of_the_method():
    # 16.5 columns: a half is rounded to even or upwards.
    for method, width in (("caffe", 16), ("bilinear", 17)):
        sizes = network_sizes([record(32, 33)], Resizing((16,), 64, (), method))
        np.testing.assert_array_equal(sizes, [[[16, width]]])


def test_a_group_is_the_canvas_at_the_largest_short_side():
    records = [record(30, 40), record(40, 30), record(30, 50)]
    canvases = [(30, 40), (30, 50), (40, 30), (60, 80), (60, 100), (80, 60)]
    for sides in ((30, 60), (60, 30), (60,)):
        sizes = sizes_of(records, sides, 100)
        np.testing.assert_array_equal(
            canvas_groups(records, sizes, canvases), [3, 5, 4]
        )
    sizes = sizes_of(records, (30,), 100)
    np.testing.assert_array_equal(canvas_groups(records, sizes, canvases), [0, 2, 1])


@given(
    st.integers(1, 3000),
    st.integers(1, 3000),
    st.lists(st.integers(1, 1200), min_size=2, max_size=2),
)
def test_a_longer_short_side_shrinks_neither_side_of_an_image(height, width, sides):
    short, long = (
        plan_resize(height, width, side, 1200).sizes.numpy() for side in sorted(sides)
    )
    assert (short <= long).all()


def test_own_canvases_are_listed_once_and_given_ones_as_they_are():
    sizes = np.array([[[30, 40], [60, 80]], [[40, 30], [80, 60]], [[31, 33], [60, 66]]])
    assert set(listed_canvases(sizes, 32)) == {(32, 64), (64, 96), (64, 32), (96, 64)}
    assert listed_canvases(sizes, [(9, 8), (2, 3)]) == ((9, 8), (2, 3))


@given(
    st.lists(st.tuples(st.integers(1, 300), st.integers(1, 300)), min_size=1),
    st.sampled_from([1, 16, 32]),
)
def test_of_own_canvases_each_image_gets_its_own(sizes, multiple):
    records = [record(*size) for size in sizes]
    resized = sizes_of(records, (100,), 160)
    canvases = listed_canvases(resized, multiple)
    groups = canvas_groups(records, resized, canvases)
    own = own_canvases(resized[:, 0], multiple)
    np.testing.assert_array_equal(np.array(canvases)[groups], own)


def test_an_image_too_large_for_every_canvas_is_named():
    records = [record(32, 48), record(32, 50)]
    with pytest.raises(DataError) as error:
        canvas_groups(records, sizes_of(records, (16, 32), 64), [(32, 48)])
    assert str(error.value) == (
        "images.canvases: a.png becomes 32 x 50 pixels (height x width), but none of "
        "((32, 48),) holds it; add a larger canvas or leave the list empty."
    )
