import numpy as np
import pytest

from tf_frcnn.data.checks.images import ImageFacts
from tf_frcnn.data.checks.problems import DataError, Policy, Problems
from tf_frcnn.data.checks.stated_sizes import move_to_image, shares_to_image

BOX = np.array([[10.0, 20.0, 30.0, 60.0]])
UPRIGHT = ImageFacts(40, 80, 1)
# Stored lying on its side; upright it has 40 x 80 pixels.
TURNED = ImageFacts(80, 40, 6)


def moved(stated, facts, problems=None):
    problems = problems or Problems()
    move = move_to_image(stated, facts, problems, "a.json")
    return (None if move is None else move(BOX)), problems


@pytest.mark.parametrize("stated", [None, (40, 80)])
@pytest.mark.parametrize("facts", [UPRIGHT, TURNED])
def test_boxes_of_the_upright_size_stay(stated, facts):
    boxes, problems = moved(stated, facts)
    np.testing.assert_array_equal(boxes, BOX)
    assert problems.rows == []


def test_boxes_drawn_on_the_stored_image_turn_with_it():
    boxes, problems = moved((80, 40), TURNED)
    # Orientation 6: the stored image's left border becomes the upper one.
    np.testing.assert_array_equal(boxes, [[20, 50, 60, 70]])
    assert problems.counts() == {"wrong_size": 1}


@pytest.mark.parametrize(
    ("stated", "factor"), [((20, 40), 2), ((80, 160), 0.5), ((400, 800), 0.1)]
)
def test_boxes_of_a_resized_image_are_scaled(stated, factor):
    boxes, problems = moved(stated, UPRIGHT)
    np.testing.assert_allclose(boxes, BOX * factor)
    assert problems.rows[0].action == "repair"


def test_a_resized_image_has_whole_pixels():
    """667 x 1000 at half the size is 333 or 334 x 500; each side has its own ratio."""
    move = move_to_image((667, 1000), ImageFacts(334, 500, 1), Problems(), "a")
    np.testing.assert_allclose(move(np.array([[0, 0, 667, 1000]])), [[0, 0, 334, 500]])


@pytest.mark.parametrize("stated", [(80, 40), (40, 60), (0, 80)])
def test_an_image_of_another_shape_is_dropped(stated):
    boxes, problems = moved(stated, UPRIGHT)
    assert boxes is None
    assert [row.action for row in problems.rows] == ["drop"]
    assert "80 x 40" in problems.rows[0].detail


@pytest.mark.parametrize("stated", [(20, 40), (80, 40)])
def test_the_policy_decides_about_what_could_be_repaired(stated):
    facts = UPRIGHT if stated == (20, 40) else TURNED
    assert moved(stated, facts, Problems(Policy({"wrong_size": "drop"})))[0] is None
    with pytest.raises(DataError, match=r"a\.json: wrong_size"):
        moved(stated, facts, Problems(Policy({"wrong_size": "raise"})))


@pytest.mark.parametrize("stated", [None, (40, 80), (123, 45)])
def test_shares_need_no_size(stated):
    shares = BOX / [40, 80, 40, 80]
    np.testing.assert_array_equal(shares_to_image(stated, UPRIGHT)(shares), BOX)
    np.testing.assert_array_equal(shares_to_image(None, TURNED)(shares), BOX)


def test_shares_of_the_stored_image_turn_with_it():
    shares = BOX / [80, 40, 80, 40]
    np.testing.assert_array_equal(
        shares_to_image((80, 40), TURNED)(shares), [[20, 50, 60, 70]]
    )


def test_whole_pixels_survive_float32_and_six_decimal_places():
    facts = ImageFacts(375, 500, 1)
    corners = np.array([[1, 7, 374, 499]])
    shares = (corners / [375, 500, 375, 500]).astype(np.float32)
    np.testing.assert_array_equal(shares_to_image(None, facts)(shares), corners)
    beyond = shares_to_image(None, facts)(np.array([[-1.5e-6, 0, 1.0000015, 1.01]]))
    np.testing.assert_array_equal(beyond, [[0, 0, 375, 505]])
