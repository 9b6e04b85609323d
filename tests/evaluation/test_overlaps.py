import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tf_frcnn.evaluation import DetectedBoxes, GroundTruth, overlaps
from tf_frcnn.evaluation.overlaps import best_overlaps, check_rows, paired_iou


def test_iou_by_hand():
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 2, 2], [5, 5, 5, 5]])
    others = np.array([[0, 0, 10, 5], [10, 0, 20, 10], [1, 1, 3, 3], [5, 5, 5, 5]])
    np.testing.assert_allclose(paired_iou(boxes, others), [50 / 100, 0, 1 / 7, 0])


def test_iou_with_inclusive_corners_by_hand():
    # 11 x 11 against 11 x 6; one shared row of 11; 3 x 3 with 2 x 2 shared; one pixel.
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 2, 2], [5, 5, 5, 5]])
    others = np.array([[0, 0, 10, 5], [10, 0, 20, 10], [1, 1, 3, 3], [5, 5, 5, 5]])
    expected = [66 / 121, 11 / (2 * 121 - 11), 4 / 14, 1]
    np.testing.assert_allclose(paired_iou(boxes, others, plus_one=True), expected)


def test_a_box_with_swapped_corners_overlaps_nothing():
    swapped = np.array([[10.0, 10.0, 0.0, 0.0]])
    assert paired_iou(swapped, np.array([[0.0, 0.0, 10.0, 10.0]])) == 0


def test_iou_agrees_with_the_reference(golden):
    data = golden("iou")
    shape = data["plain"].shape
    rows, columns = np.indices(shape).reshape(2, -1)
    pairs = data["a"].astype(float)[rows], data["b"].astype(float)[columns]
    for name, plus_one in (("plain", False), ("plus1", True)):
        iou = paired_iou(*pairs, plus_one=plus_one).reshape(shape)
        data.compare("IoU, evaluation", name, iou, atol=1e-6)


def test_the_best_box_is_sought_within_the_group_and_the_first_wins_a_tie():
    boxes = np.array([[0, 0, 10, 10]] * 3, float)
    others = np.array(
        [[0, 0, 10, 10], [0, 0, 10, 4], [0, 0, 10, 5], [0, 0, 5, 10], [20, 20, 30, 30]],
        float,
    )
    index, iou = best_overlaps(
        boxes, np.array([7, 3, 9]), others, np.array([1, 7, 7, 7, 3])
    )
    assert index.tolist() == [2, 4, -1]
    assert iou.tolist() == [0.5, 0, 0]


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(0, 12), st.integers(0, 12))
def test_blocks_of_pairs_give_what_a_loop_over_boxes_gives(seed, n, m):
    rng = np.random.default_rng(seed)
    boxes, others = (
        np.hstack([start, start + rng.integers(1, 5, [k, 2])]).astype(float)
        for k in (n, m)
        for start in [rng.integers(0, 5, [k, 2])]
    )
    groups, other_groups = rng.integers(0, 3, n), rng.integers(0, 3, m)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overlaps, "_PAIRS_AT_ONCE", 5)
        index, iou = best_overlaps(boxes, groups, others, other_groups)
    for i in range(n):
        rows = np.flatnonzero(other_groups == groups[i])
        one_by_one = [paired_iou(boxes[i : i + 1], others[[row]])[0] for row in rows]
        assert iou[i] == max(one_by_one, default=0)
        assert index[i] == (rows[np.argmax(one_by_one)] if rows.size else -1)


def test_rows_that_do_not_fit_together_are_refused():
    box = [[0, 0, 1, 1]]
    with pytest.raises(ValueError, match=r"GroundTruth: fields of different lengths"):
        check_rows(GroundTruth([0], box, [0, 0], [False]))
    with pytest.raises(ValueError, match=r"DetectedBoxes: scores must be finite"):
        check_rows(DetectedBoxes([0], box, [np.nan], [0]))
    with pytest.raises(ValueError, match=r"DetectedBoxes: boxes must be finite"):
        check_rows(DetectedBoxes([0], [[0, 0, 1, np.inf]], [0.5], [0]))
    with pytest.raises(
        ValueError,
        match=r"a label is -1, but labels must lie in 0\.\.2; leave out padded rows",
    ):
        check_rows(GroundTruth([0], box, [-1], [False]), num_classes=3)
    with pytest.raises(ValueError, match=r"a label is 3"):
        check_rows(GroundTruth([0], box, [3], [False]), num_classes=3)
