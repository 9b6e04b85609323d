import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.golden import golden_cases
from tf_frcnn.ops.anchors import centred_base_anchors, shift_over_grid
from tf_frcnn.ops.boxes import (
    box_areas,
    box_sides,
    clip_to_image,
    covered_shares,
    inside_image,
    pairwise_iou,
)

YX = [1, 0, 3, 2]  # x1, y1, x2, y2 <-> ymin, xmin, ymax, xmax
PIXELS = st.floats(-200, 1200, width=32) | st.integers(-200, 1200).map(float)
# Differences of eighths are exact, so areas keep their digits when boxes move.
EIGHTHS = st.integers(-1000, 1000).map(lambda number: number / 8)


def boxes_of(num_boxes, corner=PIXELS):
    """Draws float32 [num_boxes, 4] with sorted corners; some boxes have no area."""
    corners = hnp.arrays(np.float32, (num_boxes, 2, 2), elements=corner)
    return corners.map(lambda pairs: np.sort(pairs, axis=1).reshape(-1, 4))


def test_sides_and_areas_count_the_last_pixel_only_with_plus_one(in_mode):
    boxes = np.float32([[10, 20, 14, 29], [5, 5, 5, 5]])
    np.testing.assert_array_equal(in_mode(box_sides)(boxes), [[4, 0], [9, 0]])
    np.testing.assert_array_equal(
        in_mode(box_sides)(boxes, plus_one=True), [[5, 1], [10, 1]]
    )
    np.testing.assert_array_equal(in_mode(box_areas)(boxes), [36, 0])
    np.testing.assert_array_equal(in_mode(box_areas)(boxes, plus_one=True), [50, 1])


def test_iou_of_boxes_that_share_a_third_touch_and_lie_apart(in_mode):
    boxes = np.float32([[0, 0, 10, 20]])
    others = np.float32([[0, 10, 10, 30], [10, 0, 20, 20], [50, 50, 60, 60]])
    np.testing.assert_allclose(
        in_mode(pairwise_iou)(boxes, others), [[1 / 3, 0, 0]], rtol=1e-6
    )


def test_iou_with_plus_one_counts_the_shared_row_of_touching_boxes(in_mode):
    boxes, others = np.float32([[0, 0, 9, 9]]), np.float32([[9, 0, 18, 9]])
    iou = in_mode(pairwise_iou)(boxes, others, plus_one=True)
    np.testing.assert_allclose(iou, [[10 / 190]], rtol=1e-6)


@pytest.mark.parametrize("form", ["plain", "plain_chn", "plus1"])
def test_iou_equals_the_references(golden, in_mode, form):
    iou, plus_one = golden("iou"), form == "plus1"
    first, second, special = (iou[name][:, YX] for name in ("a", "b", "special"))
    compute = in_mode(pairwise_iou)
    found = compute(first, second, plus_one=plus_one)
    iou.compare("IoU", form, found, atol=1e-6)
    # 0 / 0 is NaN in the references and 0 here.
    found, name = compute(special, special, plus_one=plus_one), f"special_{form}"
    iou.compare("IoU", name, found, np.nan_to_num(iou[name]), atol=1e-6)
    empty = compute(first, second[:0], plus_one=plus_one)
    np.testing.assert_array_equal(empty, iou[f"empty_{form}"])


@pytest.mark.slow
@pytest.mark.parametrize("plus_one", [False, True])
def test_iou_is_symmetric_and_lies_in_0_to_1(in_mode, plus_one):
    @given(boxes_of(6), boxes_of(5))
    def check(boxes, others):
        compute = in_mode(pairwise_iou)
        iou = compute(boxes, others, plus_one=plus_one)
        assert np.all((iou >= 0) & (iou <= 1 + 1e-6))
        # Not to the last digit: XLA fuses one of the two products with their sum.
        np.testing.assert_allclose(
            iou.T, compute(others, boxes, plus_one=plus_one), rtol=1e-6
        )

    check()


def test_iou_of_a_box_with_itself_is_1_if_it_has_area_and_else_0(in_mode):
    @given(boxes_of(6))
    def check(boxes):
        own = np.diagonal(in_mode(pairwise_iou)(boxes, boxes))
        sides = boxes[:, 2:] - boxes[:, :2]
        # Areas below 1e-30 square pixels underflow.
        clear = np.all(sides > 1e-15, axis=1) | np.any(sides == 0, axis=1)
        expected = np.all(sides > 0, axis=1)
        np.testing.assert_array_equal(own[clear], expected[clear])

    check()


def test_iou_does_not_change_when_both_boxes_move(in_mode):
    @given(boxes_of(6, EIGHTHS), boxes_of(5, EIGHTHS), st.integers(-500, 500))
    def check(boxes, others, shift):
        compute = in_mode(pairwise_iou)
        np.testing.assert_allclose(
            compute(boxes + np.float32(shift), others + np.float32(shift)),
            compute(boxes, others),
            rtol=1e-6,
        )

    check()


def test_iou_of_an_image_does_not_depend_on_its_batch_mates(in_mode):
    rng = np.random.default_rng(0)
    boxes = np.sort(rng.uniform(0, 90, (3, 7, 2, 2)), axis=2).reshape(3, 7, 4)
    boxes = boxes.astype(np.float32)
    batch = in_mode(pairwise_iou)(boxes, boxes[:, :4])
    alone = in_mode(pairwise_iou)(boxes[1], boxes[1, :4])
    np.testing.assert_array_equal(batch[1], alone)


def test_a_box_outside_the_image_collapses_onto_its_border(in_mode):
    boxes = np.float32([[[-5, -5, 3, 4], [20, 20, 30, 30]]])
    clipped = in_mode(clip_to_image)(boxes, np.float32([[10, 12]]))
    np.testing.assert_array_equal(clipped, [[[0, 0, 3, 4], [10, 12, 10, 12]]])


def test_each_image_of_a_batch_has_its_own_border(in_mode):
    boxes = np.float32([[[-5, 5, 50, 60]]] * 2)
    sizes = np.float32([[10, 20], [30, 40]])
    np.testing.assert_array_equal(
        in_mode(clip_to_image)(boxes, sizes), [[[0, 5, 10, 20]], [[0, 5, 30, 40]]]
    )
    np.testing.assert_array_equal(
        in_mode(clip_to_image)(boxes, sizes, plus_one=True),
        [[[0, 5, 9, 19]], [[0, 5, 29, 39]]],
    )


def compare_clipped(coding, name, found):
    expected = coding[name].reshape(-1, 4)[:, YX]
    coding.compare("clipped, pixels", name, found, expected, rtol=1e-6, atol=2e-4)


@pytest.mark.parametrize(
    ("given_boxes", "expected", "plus_one"),
    [
        ("tfr_decode", "tfr_clip", True),
        ("tfr_decode_k", "tfr_clip_k", True),
        ("far", "tfr_clip_far", True),
        ("tfr_decode", "tv_clip", False),
    ],
)
def test_clipping_equals_the_references(
    golden, in_mode, given_boxes, expected, plus_one
):
    coding = golden("box_coding")
    boxes = coding[given_boxes].reshape(1, -1, 4)[..., YX]
    sizes = coding["image_hw"][np.newaxis].astype(np.float32)
    clipped = in_mode(clip_to_image)(boxes, sizes, plus_one=plus_one)
    compare_clipped(coding, expected, clipped[0])


def test_onesided_clips_differ_only_for_boxes_wholly_outside(golden, in_mode):
    coding = golden("box_coding")
    boxes, onesided = coding["far"][:, YX], coding["tfr_clip_far_onesided"][:, YX]
    sizes = coding["image_hw"][np.newaxis].astype(np.float32)
    clipped = in_mode(clip_to_image)(boxes[np.newaxis], sizes, plus_one=True)[0]
    outside = (boxes[:, :2] > sizes - 1) | (boxes[:, 2:] < 0)
    reaches_in = ~outside.any(axis=1)
    assert reaches_in.any() and outside.any()
    np.testing.assert_allclose(
        clipped[reaches_in], onesided[reaches_in], rtol=1e-6, atol=2e-4
    )
    # Along such an axis the reference's corners swap and ours meet on the border.
    assert np.all((onesided[:, :2] > onesided[:, 2:])[outside])
    np.testing.assert_array_equal(clipped[:, :2][outside], clipped[:, 2:][outside])
    own = in_mode(clip_to_image)(boxes[np.newaxis], sizes, plus_one=True, own_side=True)
    compare_clipped(coding, "tfr_clip_far_onesided", own[0])


@pytest.mark.parametrize("plus_one", [False, True])
def test_clipped_boxes_lie_inside_and_stay_when_clipped_again(in_mode, plus_one):
    @given(boxes_of(8), st.integers(1, 900), st.integers(1, 900))
    def check(boxes, height, width):
        clip, sizes = in_mode(clip_to_image), np.float32([[height, width]])
        clipped = clip(boxes[np.newaxis], sizes, plus_one=plus_one)
        limits = np.tile(sizes, 2) - plus_one
        assert np.all((clipped >= 0) & (clipped <= limits))
        np.testing.assert_array_equal(clip(clipped, sizes, plus_one=plus_one), clipped)
        was_inside = np.all((boxes >= 0) & (boxes <= limits), axis=1)
        np.testing.assert_array_equal(clipped[0, was_inside], boxes[was_inside])
        again = in_mode(inside_image)(clipped, sizes, plus_one=plus_one)
        assert again.all()

    check()


def test_a_box_that_ends_at_the_edge_is_inside_unless_pixels_are_counted(in_mode):
    sizes = np.float32([[10, 20], [11, 21]])
    boxes = np.float32([[0, 0, 10, 20], [0, 0, 9, 19], [0, 0, 11, 20], [-1, 0, 5, 5]])
    np.testing.assert_array_equal(
        in_mode(inside_image)(boxes, sizes),
        [[True, True, False, False], [True, True, True, False]],
    )
    np.testing.assert_array_equal(
        in_mode(inside_image)(boxes, sizes, plus_one=True),
        [[False, True, False, False], [True, True, False, False]],
    )


def test_a_border_lets_boxes_reach_that_far_beyond_each_edge(in_mode):
    boxes = np.float32([[[-2, 0, 5, 5], [0, -3, 5, 5], [0, 0, 12, 5], [0, 0, 5, 23]]])
    inside = in_mode(inside_image)(boxes, np.float32([[10, 20]]), border=2.0)
    np.testing.assert_array_equal(inside, [[True, False, True, False]])


@pytest.mark.parametrize("case", golden_cases("anchor_target_chenyuntc"))
def test_boxes_inside_equal_the_reference(golden, in_mode, case):
    stored = golden("anchor_target_chenyuntc")
    base = centred_base_anchors(16, (0.5, 1, 2), stored[f"{case}_scales"])
    height, width = (int(stored[f"{case}_{key}"]) for key in ("height", "width"))
    anchors = shift_over_grid(base, height, width, 16)
    sizes = stored[f"{case}_image_hw"][np.newaxis].astype(np.float32)
    inside = in_mode(inside_image)(anchors, sizes)
    found = np.flatnonzero(inside[0])
    stored.compare("anchors inside", f"{case}_inside_index", found)


def test_the_share_that_another_box_covers_by_hand(in_mode):
    boxes = np.float32([[0, 0, 10, 10], [0, 0, 0, 0]])
    others = np.float32([[0, 0, 100, 100], [0, 5, 10, 90], [20, 20, 30, 30]])
    shares = in_mode(covered_shares)(boxes, others)
    np.testing.assert_allclose(shares, [[1, 0.5, 0], [0, 0, 0]])
    # 11 rows of 11 pixels, 6 of them from 5 to 10.
    shares = in_mode(covered_shares)(boxes, others, plus_one=True)
    np.testing.assert_allclose(shares[0], [1, 6 / 11, 0], rtol=1e-6)
