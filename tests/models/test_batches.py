import warnings
from pathlib import Path

import pytest
import tensorflow as tf

from tf_frcnn.data.checks.problems import DataError
from tf_frcnn.models.batches import Batches, check_data, end_is_expected, is_raw

NUMBERS = tf.data.Dataset.range(5)


def test_an_example_sets_endless_batches_become_one_pass():
    endless = Batches(NUMBERS.repeat(), steps=5, num_images=9)
    whole, short, long = (endless.limited_to(steps, 2) for steps in (None, 3, 7))
    assert list(whole.dataset.as_numpy_iterator()) == [0, 1, 2, 3, 4]
    assert list(long.dataset.as_numpy_iterator()) == [0, 1, 2, 3, 4, 0, 1]
    assert [b.dataset.cardinality() for b in (whole, short, long)] == [5, 3, 7]
    assert [b.num_images for b in (whole, short, long)] == [9, 5, 13]
    assert {b.images_per_step(2) for b in (whole, endless)} == {9 / 5}


def test_a_stream_goes_on_where_it_was():
    stream = Batches(NUMBERS, steps=5, num_images=9, stream="a stream")
    assert stream.limited_to(None, 2) is stream
    limited = stream.limited_to(3, 2)
    assert limited.dataset is NUMBERS
    assert (limited.steps, limited.num_images, limited.images_per_step(2)) == (3, 6, 2)
    assert Batches(NUMBERS, stream="a stream").images_per_step(2) == 2


def test_example_sets_and_datasets_of_single_examples_are_raw(shapes, singles, batch):
    assert is_raw(shapes) and is_raw(singles)
    assert not is_raw(tf.data.Dataset.from_tensors(batch))
    assert not is_raw(batch) and not is_raw(None)


def test_an_endless_dataset_needs_a_number_of_steps():
    check_data(NUMBERS)
    check_data(NUMBERS.repeat(), steps=3)
    check_data([1, 2])
    with pytest.raises(DataError, match=r"give steps or dataset\.take\(n\)\.$"):
        check_data(NUMBERS.repeat(), steps=None)
    with pytest.raises(DataError, match=r"endless: give dataset\.take\(n\)\.$"):
        check_data(NUMBERS.repeat())


@pytest.mark.parametrize("data", ["cells", Path("cells"), ["a.jpg", "b.jpg"]])
def test_a_path_is_no_data(data):
    first = data[0] if isinstance(data, list) else data
    with pytest.raises(DataError, match=rf"^{first} is a path\. tf_frcnn\.read_data"):
        check_data(data)


def ran_out():
    warnings.warn("Your input ran out of data; interrupting training.", stacklevel=1)


def test_only_an_end_that_is_expected_goes_without_a_warning():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with end_is_expected():
            ran_out()
            with end_is_expected():
                ran_out()
            ran_out()
        assert not caught
        ran_out()
        with end_is_expected(steps=4):
            ran_out()
    assert len(caught) == 2


def test_within_it_a_warning_is_not_repeated():
    def warn():
        warnings.warn("once", stacklevel=1)

    with warnings.catch_warnings(record=True) as caught, end_is_expected():
        warnings.filterwarnings("default", "once")
        for _ in range(3):
            with end_is_expected():
                warn()
    assert len(caught) == 1
