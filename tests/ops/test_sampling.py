import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tf_frcnn.ops.sampling import random_keys, sample_anchors, sample_rois


def unit_keys(shape):
    """Draws float32 keys in [0, 1), many of them equal."""
    return hnp.arrays(
        np.float32, shape, elements=st.integers(0, 99).map((0.01).__mul__)
    )


def test_no_positive_anchor_is_sampled_where_none_has_a_place(in_mode):
    labels = np.int32([[1, 1, 0, 0, 0, -1]])
    keys = np.float32([[0.5, 0.1, 0.2, 0.4, 0.3, 0.0]])
    sampled = in_mode(sample_anchors)(labels, keys, num_samples=1)
    np.testing.assert_array_equal(sampled, [[-1, -1, 0, -1, -1, -1]])


def test_keys_are_uniform_and_a_function_of_the_seed(in_mode):
    draw = in_mode(lambda seed: random_keys([2, 5000], seed))
    keys = draw(np.array([3, 4, 0]))
    np.testing.assert_array_equal(draw(np.array([3, 4, 0])), keys)
    assert np.all(draw(np.array([3, 5, 0])) != keys, axis=1).any()
    assert np.all((keys >= 0) & (keys < 1))
    quarters = np.histogram(keys, bins=4, range=(0, 1))[0] / keys.size
    np.testing.assert_allclose(quarters, 0.25, atol=0.02)
    assert np.any(keys[0] != keys[1])


def test_keys_of_a_seed_are_the_same_in_all_modes(in_mode):
    keys = in_mode(lambda seed: random_keys([4], seed))(np.array([1, 2, 3]))
    np.testing.assert_array_equal(keys, random_keys([4], [1, 2, 3]))


@pytest.mark.parametrize("shape", [[5], [5, 13], [5, 3, 6]])
def test_keys_of_an_image_follow_from_its_place_in_the_whole_batch(in_mode, shape):
    draw = in_mode(lambda seed, size: random_keys([size, *shape[1:]], seed))
    whole = draw(np.array([1, 2, 0]), 5)
    assert len(np.unique(whole)) == whole.size
    for first, size in ((0, 2), (2, 2), (4, 1)):
        part = draw(np.array([1, 2, first]), size)
        np.testing.assert_array_equal(part, whole[first : first + size])


def test_the_smallest_keys_are_sampled_and_negatives_fill_up(in_mode):
    labels = np.int32([[1, 1, 1, 0, 0, 0, 0, -1], [1, 0, 0, 0, 0, 0, -1, -1]])
    keys = np.float32([[0.3, 0.1, 0.2, 0.9, 0.5, 0.7, 0.6, 0.0]] * 2)
    sampled = in_mode(sample_anchors)(labels, keys, num_samples=4)
    np.testing.assert_array_equal(
        sampled, [[-1, 1, 1, -1, 0, -1, 0, -1], [1, 0, 0, -1, 0, -1, -1, -1]]
    )


def test_positives_do_not_fill_up_missing_negatives(in_mode):
    labels, keys = np.int32([[1, 1, 1, 1, 0]]), np.float32([[0.4, 0.3, 0.2, 0.1, 0]])
    sampled = in_mode(sample_anchors)(
        labels, keys, num_samples=5, positive_fraction=0.5
    )
    np.testing.assert_array_equal(sampled, [[-1, -1, 1, 1, 0]])


def test_the_share_of_positives_is_a_setting(in_mode):
    labels, keys = np.int32([[1] * 4 + [0] * 4]), np.float32([[0.5] * 8])
    sampled = in_mode(sample_anchors)(
        labels, keys, num_samples=4, positive_fraction=0.25
    )
    # Of equal keys the first comes first.
    np.testing.assert_array_equal(sampled, [[1, -1, -1, -1, 0, 0, 0, -1]])


def test_the_sample_of_anchors_has_the_counts_and_keeps_labels(in_mode):
    @given(hnp.arrays(np.int32, (2, 30), elements=st.integers(-1, 1)), unit_keys(30))
    def check(labels, keys):
        sampled = in_mode(sample_anchors)(
            labels, np.tile(keys, [2, 1]), num_samples=12, positive_fraction=0.5
        )
        num_positive = np.minimum((labels == 1).sum(axis=1), 6)
        num_negative = np.minimum((labels == 0).sum(axis=1), 12 - num_positive)
        np.testing.assert_array_equal((sampled == 1).sum(axis=1), num_positive)
        np.testing.assert_array_equal((sampled == 0).sum(axis=1), num_negative)
        counted = sampled >= 0
        np.testing.assert_array_equal(sampled[counted], labels[counted])
        # Nobody left out has a smaller key than somebody taken.
        for value in (0, 1):
            taken, left = sampled == value, (labels == value) & (sampled != value)
            largest = np.where(taken, keys, -1).max(axis=1)
            assert np.all(np.where(left, keys, 2).min(axis=1) >= largest)

    check()


def test_seeds_decide_which_anchors_are_sampled(in_mode):
    labels = np.int32([[1] * 50 + [0] * 150])

    def sample(labels, seed):
        return sample_anchors(labels, random_keys([1, 200], seed), num_samples=40)

    first, again, other = (
        in_mode(sample)(labels, np.array([7, n, 0])) for n in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.any((first == 1) != (other == 1))
    assert np.any((first == 0) != (other == 0))


def test_every_candidate_is_sampled_equally_often(in_mode):
    labels = np.tile(np.int32([[1] * 4 + [0] * 8 + [-1]]), [3000, 1])

    def sample(labels, seed):
        keys = random_keys([3000, 13], seed)
        return sample_anchors(labels, keys, num_samples=4)

    sampled = in_mode(sample)(labels, np.array([0, 0, 0]))
    shares = (sampled >= 0).mean(axis=0)
    np.testing.assert_allclose(shares, [0.5] * 4 + [0.25] * 8 + [0], atol=0.05)


def test_the_sample_of_an_image_does_not_depend_on_its_batch_mates(in_mode):
    rng = np.random.default_rng(0)
    labels = rng.integers(-1, 2, (3, 40)).astype(np.int32)
    keys = rng.uniform(size=(3, 40)).astype(np.float32)
    foreground, background = labels == 1, labels == 0
    batch = in_mode(sample_anchors)(labels, keys, num_samples=10)
    alone = in_mode(sample_anchors)(labels[1:2], keys[1:2], num_samples=10)
    np.testing.assert_array_equal(batch[1:2], alone)
    batch = in_mode(sample_rois)(foreground, background, keys, num_samples=20)
    alone = in_mode(sample_rois)(
        foreground[1:2], background[1:2], keys[1:2], num_samples=20
    )
    np.testing.assert_array_equal(batch[0][1:2], alone[0])
    np.testing.assert_array_equal(batch[1][1:2], alone[1])


def test_rois_come_foreground_first_each_by_their_keys(in_mode):
    foreground = np.array([[1, 0, 1, 1, 0, 0, 0]]) == 1
    background = np.array([[0, 1, 0, 0, 1, 0, 1]]) == 1
    keys = np.float32([[0.3, 0.9, 0.2, 0.1, 0.4, 0.0, 0.6]])
    index, valid = in_mode(sample_rois)(
        foreground, background, keys, num_samples=4, foreground_fraction=0.5
    )
    np.testing.assert_array_equal(index, [[3, 2, 4, 6]])
    assert valid.all()


def test_background_fills_the_rows_that_foreground_leaves(in_mode):
    foreground = np.array([[1, 0, 0, 0, 0]]) == 1
    background = np.array([[0, 1, 1, 1, 1]]) == 1
    keys = np.float32([[0.5, 0.4, 0.3, 0.2, 0.1]])
    index, valid = in_mode(sample_rois)(
        foreground, background, keys, num_samples=4, foreground_fraction=0.5
    )
    np.testing.assert_array_equal(index, [[0, 4, 3, 2]])
    assert valid.all()


def test_rows_without_a_candidate_are_not_valid(in_mode):
    foreground = np.array([[1, 1, 1, 0, 0], [0] * 5]) == 1
    background = np.array([[0, 0, 0, 1, 0], [0] * 5]) == 1
    keys = np.float32([[0.1, 0.2, 0.3, 0.4, 0.0]] * 2)
    index, valid = in_mode(sample_rois)(
        foreground, background, keys, num_samples=4, foreground_fraction=0.5
    )
    np.testing.assert_array_equal(valid, [[True] * 3 + [False], [False] * 4])
    np.testing.assert_array_equal(index[0, :3], [0, 1, 3])
    assert np.all((index >= 0) & (index < 5))


def test_repeats_fill_all_rows_and_one_kind_alone_takes_all(in_mode):
    foreground = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0] * 4]) == 1
    background = np.array([[0, 0, 0, 1], [0, 0, 0, 0], [0, 1, 1, 0], [0] * 4]) == 1
    keys = np.float32([[0.2, 0.1, 0.3, 0.0]] * 4)
    index, valid = in_mode(sample_rois)(
        foreground,
        background,
        keys,
        num_samples=5,
        foreground_fraction=0.4,
        fill_with_repeats=True,
    )
    np.testing.assert_array_equal(
        index[:3], [[1, 0, 3, 3, 3], [1, 0, 1, 0, 1], [1, 2, 1, 2, 1]]
    )
    np.testing.assert_array_equal(valid, [[True] * 5] * 3 + [[False] * 5])


@pytest.mark.parametrize("fill_with_repeats", [False, True])
def test_sampled_rois_are_candidates_in_the_right_numbers(in_mode, fill_with_repeats):
    kinds = hnp.arrays(np.int32, (2, 20), elements=st.integers(-1, 1))

    @given(kinds, unit_keys((2, 20)))
    def check(kind, keys):
        foreground, background = kind == 1, kind == 0
        index, valid = in_mode(sample_rois)(
            foreground,
            background,
            keys,
            num_samples=12,
            foreground_fraction=0.25,
            fill_with_repeats=fill_with_repeats,
        )
        for image in range(2):
            rows = index[image, valid[image]]
            num_foreground = np.count_nonzero(foreground[image])
            num_background = np.count_nonzero(background[image])
            take_foreground = min(num_foreground, 3)
            expected = [take_foreground, min(num_background, 12 - take_foreground)]
            if fill_with_repeats and num_background:
                expected = [take_foreground, 12 - take_foreground]
            elif fill_with_repeats and num_foreground:
                expected = [12, 0]
            counts = [np.count_nonzero(kind[image, rows] == n) for n in (1, 0)]
            assert counts == expected
            assert len(rows) == sum(expected)
            if not fill_with_repeats:
                assert len(set(rows)) == len(rows)
            # Foreground comes first.
            assert np.all(np.diff(kind[image, rows]) <= 0)

    check()


def test_seeds_decide_which_rois_are_sampled(in_mode):
    foreground = np.arange(200)[np.newaxis] < 60

    def sample(foreground, seed):
        keys = random_keys([1, 200], seed)
        return sample_rois(foreground, ~foreground, keys, num_samples=40)[0]

    first, again, other = (
        in_mode(sample)(foreground, np.array([7, n, 0])) for n in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert set(first[0, :10]) != set(other[0, :10])
    assert set(first[0, 10:]) != set(other[0, 10:])
