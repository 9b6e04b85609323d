import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_frcnn.data.checks.problems import DataError, Problems
from tf_frcnn.data.examples import ExampleSet, Record, StoredImages
from tf_frcnn.data.joining import JoinedImages
from tf_frcnn.data.pipeline.balancing import Balance, balance
from tf_frcnn.data.readers.streamed import SequentialImages


def set_of(*labels, difficult=()):
    """Returns a set of images with these labels; some images' objects are difficult."""
    records = []
    for row, own in enumerate(labels):
        boxes = np.tile(np.float32([0, 0, 9, 9]), [len(own), 1])
        marks = np.full(len(own), row in difficult)
        facts = boxes, np.array(own, np.int32), marks, marks & False
        records.append(Record(f"{row}", f"{row}.png", 10, 10, 1, *facts))
    images = StoredImages(tf.constant([f"{n}" for n in range(len(labels))]), False)
    return ExampleSet("few", tuple("abc"), tuple(records), Problems(), images)


# Of ten images nine have class 0, one has class 1 twice, another has no object.
TEN = set_of(*[[0]] * 8, [0, 1, 1], [])


def test_an_image_is_repeated_as_its_rarest_class_asks():
    found = balance(TEN, repeat_below=0.4)
    # Class 1: sqrt(0.4 / 0.1) = 2; class 0 with 9 of 10 is not rare.
    np.testing.assert_allclose(found.class_factors, [1, 2, 1])
    np.testing.assert_allclose(found.rates, [1] * 8 + [2, 1])
    assert found.num_images == 11
    np.testing.assert_array_equal(found.negative, [False] * 9 + [True])


def test_the_images_of_an_epoch_are_a_whole_number():
    # sqrt(0.3 / 0.1) = 1.73 becomes 2: an epoch has 11 images.
    found = balance(TEN, repeat_below=0.3)
    np.testing.assert_allclose(found.class_factors[1], np.sqrt(3))
    np.testing.assert_allclose(found.rates[8], 2)
    # Two of them: 2 x 0.73 = 1.46 more becomes 1 more.
    twins = set_of(*[[0]] * 18, [1], [1])
    found = balance(twins, repeat_below=0.3)
    np.testing.assert_allclose(found.rates[18:], [1.5, 1.5])
    assert found.num_images == 21


def test_images_without_objects_are_at_most_the_share_asked_for():
    many = set_of(*[[0]] * 6, *[[]] * 10)
    found = balance(many, max_negatives=0.25)
    np.testing.assert_allclose(found.rates, [1] * 6 + [0.2] * 10)
    assert found.num_images == 8
    assert balance(many, max_negatives=0.0).num_images == 6
    few = set_of(*[[0]] * 9, [])
    assert balance(few, max_negatives=0.5).rates.tolist() == [1.0] * 10


def test_an_image_of_difficult_objects_has_none_where_they_are_not_learned():
    half = set_of([0], [1], difficult=[1])
    learned = balance(half, repeat_below=1.0, max_negatives=0.0)
    np.testing.assert_allclose(learned.rates, [1.5, 1.5])
    dropped = balance(half, repeat_below=1.0, max_negatives=0.0, drop_difficult=True)
    np.testing.assert_allclose(dropped.rates, [1, 0])
    np.testing.assert_allclose(dropped.class_factors, [np.sqrt(2), 1, 1])


def test_a_set_without_objects_cannot_lose_all_its_images():
    with pytest.raises(DataError, match=r"data.max_negatives = 0.1 leaves no image of"):
        balance(set_of([], []), max_negatives=0.1)


def seeds(number):
    return [tf.constant(seed, tf.int64) for seed in range(number)]


@settings(deadline=None, max_examples=30)
@given(
    extra=st.lists(st.floats(0, 5), min_size=1, max_size=8),
    negatives=st.integers(0, 6),
    seed=st.integers(0, 2**62),
)
def test_every_epoch_has_the_same_number_of_images(extra, negatives, seed):
    rates = np.array(extra) + 1.0
    rates *= np.ceil(rates.sum()) / rates.sum()
    rates = np.append(rates, np.full(negatives, 0.5 if negatives % 2 == 0 else 1.0))
    own = Balance(rates, np.arange(len(rates)) >= len(extra), np.ones(1))
    counts = own.counts(tf.constant(seed, tf.int64)).numpy()
    assert counts.sum() == own.num_images
    assert (counts >= np.floor(rates - 1e-9)).all()
    assert (counts <= np.ceil(rates + 1e-9)).all()
    without = counts[len(extra) :].sum() - rates[len(extra) :].sum()
    assert abs(without) <= 1.0


@pytest.mark.slow
def test_an_image_comes_as_often_as_its_rate_on_average_and_not_always_with_the_same():
    own = Balance(np.array([2.5, 1.25, 1.25, 0.5, 0.5]), np.zeros(5, bool), np.ones(1))
    draws = np.array([own.counts(seed) for seed in seeds(400)])
    # The largest standard deviation of a mean is 0.5 / sqrt(400) = 0.025.
    np.testing.assert_allclose(draws.mean(axis=0), own.rates, atol=0.1)
    together = ((draws[:, 3] == 1) & (draws[:, 4] == 1)).sum()
    assert 0 < together < 400
    repeated = own.counts(seeds(1)[0])
    np.testing.assert_array_equal(repeated, draws[0])


COUNTS = [2, 0, 1, 3]


def sources():
    """The same four images as files would be, as an archive, and joined."""
    texts = tf.constant(["0", "1", "2", "3"])
    stored = StoredImages(texts, are_paths=False)
    rows = np.arange(4)
    archive = SequentialImages(tf.data.Dataset.from_tensor_slices(texts), rows, 3)
    joined = JoinedImages(((stored.select([0, 1, 2]), 3), (archive.select([3]), 1)))
    return {"stored": stored, "archive": archive, "joined": joined}


@pytest.mark.slow
@pytest.mark.parametrize("name", sources())
def test_every_source_repeats_its_images_and_mixes_them(name):
    source, orders = sources()[name], set()
    for seed in seeds(12):
        stream = source.stream(seed, tf.constant(COUNTS, tf.int64))
        pairs = [(int(row), int(text)) for row, text in stream.as_numpy_iterator()]
        assert all(row == text for row, text in pairs)
        rows = [row for row, _ in pairs]
        assert np.bincount(rows, minlength=4).tolist() == COUNTS
        orders.add(tuple(rows))
    assert len(orders) > 2


def test_images_in_stored_order_are_repeated_in_a_row():
    stream = sources()["stored"].stream(None, tf.constant(COUNTS, tf.int64))
    assert [int(row) for row, _ in stream] == [0, 0, 2, 3, 3, 3]


def test_the_report_says_what_is_repeated():
    report = balance(TEN, repeat_below=0.4, max_negatives=0.05).report(TEN.class_names)
    assert report == {
        "images": 10,
        "images_per_epoch": 10,
        "repeated_images": 1,
        "most_often": 2.0,
        "class_factors": {"b": 2.0},
        "negatives": 1,
        "negatives_per_epoch": 0,
    }
