import numpy as np
import pytest

from tf_frcnn.runs import explaining
from tf_frcnn.runs.explaining import STAGES, explain


@pytest.fixture(scope="module")
def model(tiny_detector):
    return tiny_detector(detections={"score_threshold": 0.1, "max_per_image": 6})


@pytest.fixture(scope="module")
def picture():
    return np.full([150, 200, 3], 90, np.uint8)


@pytest.fixture(scope="module")
def explained(model, picture):
    return explain(model, picture)


def test_every_stage_is_drawn_on_the_picture(explained, picture):
    assert tuple(explained.images) == STAGES
    for name, image in explained.images.items():
        assert image.shape == picture.shape and image.dtype == np.uint8
        assert (image != picture).any(), name


def test_the_detections_are_those_of_the_model(model, explained, picture):
    (found,) = model.detect([picture])
    np.testing.assert_allclose(explained.found.boxes, found.boxes, atol=1e-3)
    np.testing.assert_allclose(explained.found.scores, found.scores, rtol=1e-5)
    assert explained.found.names == found.names and len(found.names) > 0


def test_the_likeliest_proposals_are_listed_with_the_scores_of_the_classes(explained):
    assert len(explained.lines) == 8
    for line in explained.lines:
        for name in ("background", "wide", "tall"):
            assert f"{name} 0." in line


def test_anchors_are_drawn_about_the_middle_at_the_scale_of_the_picture(explained):
    colored = (explained.images["1_anchors"] != 90).any(axis=2)
    rows, columns = np.flatnonzero(colored.any(axis=1)), np.flatnonzero(colored.any(0))
    assert abs((rows[0] + rows[-1]) / 2 - 75) <= 1.5
    assert abs((columns[0] + columns[-1]) / 2 - 100) <= 1.5
    # Scale 5, ratio 1/2 and 2: sides of 57 and 113 pixels of 600 for 150.
    assert abs(len(range(rows[0], rows[-1])) - 113 / 4) <= 3


def test_where_the_rpn_sees_nothing_the_picture_is_dark(model, picture):
    blind = model.rpn.head.get_weights()
    try:
        for weight in model.rpn.head.weights:
            weight.assign(weight * 0)
        image = explain(model, picture).images["2_rpn_scores"]
    finally:
        model.rpn.head.set_weights(blind)
    # Scores of one half: 0.35 + 0.65 / 2 of the light.
    assert np.abs(image[:140, :190] - 90 * 0.675).max() <= 1.5


@pytest.mark.parametrize(
    ("file", "short_side", "stride"),
    [((480, 640), 128, 16), ((480, 640), 600, 16), ((1080, 1920), 600, 4)],
)
def test_the_map_of_scores_has_no_cell_beyond_the_picture(file, short_side, stride):
    """The network's sides are whole, whatever the scale's rounding makes of them."""
    sides = np.array([short_side, round(short_side * file[1] / file[0])])
    scales = (sides / file).astype(np.float32)
    cells = explaining._cells(file, scales, stride)
    np.testing.assert_array_equal(cells, np.ceil(sides / stride))
