import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.data.checks.boxes import DrawnObject
from tf_frcnn.data.checks.problems import DataError, Problems
from tf_frcnn.data.readers import streamed
from tf_frcnn.data.readers.streamed import (
    SequentialImages,
    StreamedImage,
    read_streamed,
)

CAT = DrawnObject("cat", (0.25, 0.25, 0.75, 0.75), False)


@pytest.fixture(scope="module")
def encoded(image_of, file_of):
    return [file_of(image_of(40, 80, seed), "PNG") for seed in range(3)]


def read(encoded, names=("a.png", "b.png", "c.png"), problems=None):
    return read_streamed(
        "set",
        tf.data.Dataset.from_tensor_slices(encoded),
        [StreamedImage(e, n, [CAT]) for e, n in zip(encoded, names, strict=True)],
        ("cat",),
        problems or Problems(),
        "a set of the test",
    )


@pytest.mark.parametrize("buffer", [2, 5, 100])
def test_the_order_follows_from_the_seed_alone(buffer):
    """Twelve images in blocks of the buffer's size, each block in random order."""
    stored = tf.data.Dataset.range(12).map(tf.as_string)
    images = SequentialImages(stored, np.arange(12), buffer)

    def order(seed):
        stream = images.stream(tf.constant(seed, tf.int64))
        pairs = list(stream.as_numpy_iterator())
        assert all(int(data) == index for index, data in pairs)
        return [int(index) for index, _ in pairs]

    first = order(1)
    tf.random.set_seed(4)
    assert order(1) == first != order(2)
    for start in range(0, 12, buffer):
        block = range(start, min(start + buffer, 12))
        assert sorted(first[start : start + buffer]) == list(block)


def test_dropped_images_leave_the_others_their_bytes(encoded):
    images = [encoded[0], b"no image", encoded[2]]
    examples = read(images)
    assert [record.image_id for record in examples.records] == ["a", "c"]
    assert [*examples.stream().as_numpy_iterator()] == [
        (0, encoded[0]),
        (1, encoded[2]),
    ]
    (one,) = examples.subset([1]).stream().as_numpy_iterator()
    assert one == (0, encoded[2])


def test_the_shuffle_buffer_is_bounded_in_bytes(encoded, monkeypatch):
    assert read(encoded).images.buffer == streamed.SHUFFLE_BUFFER
    mean = sum(map(len, encoded)) / 3
    monkeypatch.setattr(streamed, "SHUFFLE_BYTES", int(2.5 * mean))
    assert read(encoded).images.buffer == 2
    monkeypatch.setattr(streamed, "SHUFFLE_BYTES", 1)
    assert read(encoded).images.buffer == 1


def test_images_that_were_inspected_are_not_inspected_again(encoded, monkeypatch):
    examples = read(encoded)
    monkeypatch.setattr(streamed, "inspect_image", None)
    again = read(encoded)
    for record, same in zip(again.records, examples.records, strict=True):
        assert record[:5] == same[:5]
    monkeypatch.setenv("TF_FRCNN_CACHE", "")
    with pytest.raises(TypeError):
        read(encoded)


def test_an_image_of_the_same_name_is_inspected_anew(encoded, file_of, image_of):
    read(encoded)
    other = [file_of(image_of(50, 60), "PNG"), *encoded[1:]]
    assert read(other).records[0].height == 50


def test_more_images_than_are_inspected_at_a_time_keep_their_order(
    encoded, monkeypatch
):
    monkeypatch.setattr(streamed, "_BLOCK", 2)
    assert [record.image_id for record in read(encoded).records] == ["a", "b", "c"]


def test_a_set_without_a_usable_image_says_why(encoded):
    with pytest.raises(
        DataError, match=r"set has no image .*b\.png: it is not an image"
    ):
        read([b"no image"] * 3)
