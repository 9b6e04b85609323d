import pytest
import tensorflow as tf

from tests.helpers.odd_pictures import odd_pictures
from tf_frcnn.data.checks.images import ImageFacts, UnreadableImageError, inspect_image
from tf_frcnn.data.decoding.encoded import decode_or_refuse, reason_of

pytestmark = pytest.mark.slow

MEGAPIXELS = 2.0


@pytest.fixture(scope="module")
def size_of():
    """Returns a function of bytes: the decoded size, None where they are refused."""

    @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
    def read(data):
        return decode_or_refuse(data, tf.constant("a"), int(MEGAPIXELS * 1e6))

    def find(data):
        try:
            return tuple(read(tf.constant(data)).shape[:2])
        except tf.errors.InvalidArgumentError as error:
            assert reason_of(error) is not None
            return None

    return find


def facts_of(data):
    try:
        return inspect_image(data)
    except UnreadableImageError as error:
        assert len(str(error).splitlines()) == 1
        return None


def test_odd_pictures_are_decoded_or_refused_with_a_reason(size_of):
    results = {}
    for kind, data in odd_pictures(52, 1, MEGAPIXELS):
        size, facts = size_of(data), facts_of(data)
        results.setdefault(kind, []).append(size)
        # What the check of data lets pass, an exported model reads alike.
        if isinstance(facts, ImageFacts) and size is not None:
            assert facts.upright_size == size
    assert all(size is None for size in results["PNG, a chunk claims up to 4 GB"])
    assert any(size is None for size in results["cut off"])
    # Of more than a million rows or columns none is read.
    assert any(size is not None for size in results["PNG at the limit"])
    assert any(size is not None for size in results["JPEG, turned, at the limit"])


def test_a_seed_gives_the_same_pictures():
    first, second = (list(odd_pictures(20, 3, 0.01)) for _ in range(2))
    assert first == second and first != list(odd_pictures(20, 4, 0.01))
