import pytest
import tensorflow as tf
from PIL import Image

from tests.helpers.image_files import encode, jpeg_of_scans
from tf_frcnn.data.decoding import jpeg_scans
from tf_frcnn.data.decoding.encoded import decode_or_refuse, reason_of
from tf_frcnn.data.decoding.jpeg_scans import TOO_MANY_SCANS, has_too_many_scans

COMMENT = b"\xff\xfe\0\x06\xff\xd9\xff\xda"  # Holds what looks like an end.


@pytest.fixture
def judge():
    """Returns a function of a JPEG's bytes, and of pixels that it may seem to have."""
    spec = [tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.int64)]
    graph = tf.function(has_too_many_scans, input_signature=spec)
    return lambda data, pixels=10**6: bool(
        graph(tf.constant(data), tf.constant(pixels, tf.int64))
    )


def test_scans_times_pixels_are_bounded(judge):
    data = jpeg_of_scans(64, 64, 100)
    assert not judge(data, 2**30 // 100)
    assert judge(data, 2**30 // 99)
    assert not judge(jpeg_of_scans(64, 64, 1000), 1)
    assert judge(jpeg_of_scans(64, 64, 1001), 1)


def test_photographs_of_any_size_pass(judge):
    for settings in ({}, {"progressive": True}, {"restart_marker_blocks": 1}):
        image = Image.effect_noise((900, 900), 90).convert("RGB")
        data = encode(image, "JPEG", quality=98, **settings)
        assert not judge(data, 10**8)
    assert len(data) > 2 * jpeg_scans._PIECE


def test_what_lies_behind_the_end_does_not_count(judge):
    assert not judge(jpeg_of_scans(64, 64, 10) + b"\xff\xda\0\2" * 2000, 10**8)


def test_what_lies_in_a_segment_neither_ends_nor_counts(judge):
    data = jpeg_of_scans(64, 64, 200)
    assert judge(data[:2] + COMMENT + data[2:], 10**7)
    few = jpeg_of_scans(64, 64, 10)
    assert not judge(few[:2] + COMMENT * 200 + few[2:], 10**8)


def test_more_segments_than_are_passed_are_too_many(judge):
    data = jpeg_of_scans(64, 64, 10)
    empty = b"\xff\xfe\0\2"
    assert not judge(data[:2] + empty * 1900 + data[2:], 1)
    assert judge(data[:2] + empty * 2100 + data[2:], 1)


@pytest.mark.parametrize("piece", [5, 7])
def test_a_marker_on_the_border_of_two_pieces_is_found(judge, monkeypatch, piece):
    monkeypatch.setattr(jpeg_scans, "_PIECE", piece)
    data = jpeg_of_scans(64, 64, 20)
    assert judge(data, 2**30 // 19) and not judge(data, 2**30 // 20)


@pytest.mark.slow
def test_a_request_of_many_scans_is_refused_with_the_reason():
    @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
    def read(data):
        return decode_or_refuse(data, tf.constant("image"), 10**7)

    data = jpeg_of_scans(1100, 1000, 1000)
    assert len(data) < 100_000
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        read(tf.constant(data))
    assert reason_of(error.value) == TOO_MANY_SCANS
    assert read(tf.constant(jpeg_of_scans(110, 100, 900))).shape == (100, 110, 3)
