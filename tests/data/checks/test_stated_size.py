import numpy as np
import pytest

from tf_frcnn.data.checks.images import ImageFacts
from tf_frcnn.data.checks.stated_size import Fit, fit_to_image

AS_IT_IS = Fit((1.0, 1.0), False)


@pytest.mark.parametrize("stated", [None, (48, 64)])
def test_the_right_size_and_none_leave_boxes_as_they_are(stated):
    assert fit_to_image(stated, ImageFacts(48, 64, 1)) == AS_IT_IS
    assert AS_IT_IS.words() == ""


@pytest.mark.parametrize(
    ("stated", "scale"), [((96, 128), 0.5), ((24, 32), 2.0), ((480, 640), 0.1)]
)
def test_one_ratio_of_both_sides_scales_the_boxes(stated, scale):
    facts = ImageFacts(48, 64, 1)
    fit = fit_to_image(stated, facts)
    assert fit.scales == pytest.approx((scale, scale)) and not fit.is_turned
    assert fit.words() == f"scaled by {scale:g}"
    boxes = fit.apply(np.array([[10.0, 20.0, 24.0, 32.0]]), facts)
    np.testing.assert_allclose(
        boxes, [[10 * scale, 20 * scale, 24 * scale, 32 * scale]]
    )


@pytest.mark.parametrize(
    "stated",
    [(48, 63), (48, 66), (49, 64), (64, 48), (96, 64), (48, 128), (99, 60), (1, 64)],
)
def test_sizes_of_other_shapes_fit_not(stated):
    assert fit_to_image(stated, ImageFacts(48, 64, 1)) is None


@pytest.mark.parametrize("size", [(200, 300), (199, 300), (333, 500), (666, 1000)])
def test_a_side_rounded_in_the_smaller_image_is_the_same_ratio(size):
    """An image of 500 x 333 or 1000 x 667 pixels, resized by some program."""
    stated = (667, 1000) if size == (333, 500) else (333, 500)
    fit = fit_to_image(stated, ImageFacts(*size, 1))
    assert fit.scales == (size[0] / stated[0], size[1] / stated[1])
    assert abs(fit.scales[0] / fit.scales[1] - 1) < 0.006


def test_boxes_on_the_stored_image_are_turned_and_scaled():
    """Orientation 6: the stored picture's left edge is the upright one's top."""
    facts = ImageFacts(40, 60, 6)
    turned = fit_to_image((40, 60), facts)
    assert turned == Fit((1.0, 1.0), True) and turned.words() == "turned upright"
    both = fit_to_image((80, 120), facts)
    assert both.words() == "scaled by 0.5 and turned upright"
    boxes = both.apply(np.array([[0.0, 0.0, 60.0, 60.0]]), facts)
    np.testing.assert_array_equal(boxes, [[0, 10, 30, 40]])
    assert fit_to_image((60, 40), facts) == AS_IT_IS


def test_without_boxes_there_is_nothing_to_scale():
    fit = fit_to_image((96, 128), ImageFacts(48, 64, 1))
    assert fit.apply(np.zeros([0, 4]), ImageFacts(48, 64, 1)).shape == (0, 4)
