import numpy as np
import pytest

from tests.helpers.random_run import write_random_run
from tf_frcnn.data import make_shapes
from tf_frcnn.drawing.comparisons import load_images


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory):
    return write_random_run(tmp_path_factory.mktemp("presets"))


@pytest.fixture(scope="session")
def pictures():
    return load_images(make_shapes(2, seed=3), [0, 1])


@pytest.fixture(scope="session")
def same_detections(pictures):
    """Asserts that two models find the same, and something, in two pictures."""

    def check(model, other):
        found, again = model.detect(pictures), other.detect(pictures)
        for own, same in zip(found, again, strict=True):
            assert len(own.names) > 3 and own.names == same.names
            np.testing.assert_array_equal(own.boxes, same.boxes)
            np.testing.assert_array_equal(own.scores, same.scores)

    return check
