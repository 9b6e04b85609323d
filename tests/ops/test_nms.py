import functools

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tf_frcnn.ops import nms_tiles
from tf_frcnn.ops.boxes import pairwise_iou
from tf_frcnn.ops.nms import non_max_suppression

YX = [1, 0, 3, 2]  # x1, y1, x2, y2 <-> ymin, xmin, ymax, xmax


def greedy_nms(boxes, scores, valid, *, max_outputs, iou_threshold, plus_one=False):
    """Returns the kept rows of one image, one box at a time."""
    iou = pairwise_iou(boxes, boxes, plus_one=plus_one).numpy()
    kept = []
    for row in np.argsort(-scores, kind="stable"):
        overlaps = iou[row, kept] > np.float32(iou_threshold)
        if valid[row] and not overlaps.any() and len(kept) < max_outputs:
            kept.append(row)
    return kept


def kept_rows(index, kept):
    """Returns the kept rows of each image, and checks that padding is 0 and last."""
    assert np.all(kept[:, :-1] >= kept[:, 1:])
    assert np.all(index[~kept] == 0)
    return [list(image[mask]) for image, mask in zip(index, kept, strict=True)]


def nms_of_one(nms, boxes, scores, **settings):
    """Returns the kept rows of one image without padding."""
    valid = np.ones([1, len(boxes)], bool)
    index, kept = nms(
        boxes[np.newaxis], np.float32(scores)[np.newaxis], valid, **settings
    )
    return kept_rows(index, kept)[0]


# Mode, for_xla.
ROUTES = [
    ("eager", False),
    ("graph", False),
    ("xla", False),
    ("graph", True),
    pytest.param(("xla", True), marks=pytest.mark.xla),
]


@pytest.fixture(params=ROUTES, ids=str)
def nms(run_in, request, monkeypatch):
    mode, for_xla = request.param
    monkeypatch.setattr(nms_tiles, "TILE", 8)
    return run_in(mode, functools.partial(non_max_suppression, for_xla=for_xla))


def test_the_better_of_two_overlapping_boxes_is_kept(nms):
    boxes = np.float32([[0, 0, 10, 10], [0, 1, 10, 11], [50, 50, 60, 60]])
    rows = nms_of_one(nms, boxes, [0.6, 0.9, 0.1], max_outputs=3, iou_threshold=0.5)
    assert rows == [1, 2]


def test_a_box_that_overlaps_only_a_dropped_box_is_kept(nms):
    # A chain: 0 drops 1, so 1 cannot drop 2.
    boxes = np.float32([[0, 0, 10, 10], [0, 4, 10, 14], [0, 8, 10, 18]])
    rows = nms_of_one(nms, boxes, [0.9, 0.8, 0.7], max_outputs=3, iou_threshold=0.4)
    assert rows == [0, 2]


def test_an_iou_equal_to_the_threshold_does_not_suppress(nms):
    # 7 of 10 squares are shared; 7 / 10 is the same float32 as the threshold 0.7.
    boxes = np.float32([[0, 0, 1, 10], [0, 0, 1, 7]])
    scores = [0.9, 0.8]
    assert nms_of_one(nms, boxes, scores, max_outputs=2, iou_threshold=0.7) == [0, 1]
    assert nms_of_one(nms, boxes, scores, max_outputs=2, iou_threshold=0.69) == [0]


def test_plus_one_counts_the_last_pixel(nms):
    # Without it the boxes share 2 of 6; with it 6 of 12 square pixels.
    boxes = np.float32([[0, 0, 1, 4], [0, 2, 1, 6]])
    settings = {"max_outputs": 2, "iou_threshold": 0.4}
    assert nms_of_one(nms, boxes, [0.9, 0.8], **settings) == [0, 1]
    boxes[1] = [0, 2, 1, 5]
    assert nms_of_one(nms, boxes, [0.9, 0.8], **settings) == [0, 1]
    assert nms_of_one(nms, boxes, [0.9, 0.8], **settings, plus_one=True) == [0]


def test_of_equal_scores_the_first_comes_first(nms):
    boxes = np.float32([[0, 30, 9, 39], [0, 0, 9, 9], [0, 1, 9, 10], [0, 31, 9, 40]])
    rows = nms_of_one(nms, boxes, [0.5] * 4, max_outputs=4, iou_threshold=0.5)
    assert rows == [0, 1]


def test_boxes_without_area_and_left_of_the_image_are_kept(nms):
    boxes = np.float32([[5, 5, 5, 9], [5, 5, 5, 9], [-20, -20, -9, -9], [0, 0, 0, 0]])
    rows = nms_of_one(
        nms, boxes, [0.9, 0.8, 0.7, 0.6], max_outputs=4, iou_threshold=0.3
    )
    assert rows == [0, 1, 2, 3]


def test_scores_may_be_logits_of_any_sign(nms):
    boxes = np.float32([[0, 0, 9, 9], [0, 20, 9, 29], [0, 40, 9, 49]])
    rows = nms_of_one(nms, boxes, [-80, 3, -1e9], max_outputs=3, iou_threshold=0.5)
    assert rows == [1, 0, 2]


def test_rows_that_are_not_valid_neither_come_back_nor_suppress(nms):
    boxes = np.float32([[[0, 0, 9, 9], [0, 0, 9, 9], [50, 50, 59, 59]]] * 2)
    scores = np.float32([[1, 0.5, 0.9]] * 2)
    valid = np.array([[False, True, False], [False] * 3])
    index, kept = nms(boxes, scores, valid, max_outputs=2, iou_threshold=0.5)
    assert kept_rows(index, kept) == [[1], []]


def test_the_output_ends_when_it_is_full(nms):
    boxes = np.float32([[0, 20 * row, 9, 20 * row + 9] for row in range(6)])
    scores = [0.1, 0.6, 0.3, 0.5, 0.2, 0.4]
    rows = nms_of_one(nms, boxes, scores, max_outputs=3, iou_threshold=0.5)
    assert rows == [1, 3, 5]


def test_the_output_may_have_more_rows_than_there_are_boxes(nms):
    boxes = np.float32([[0, 0, 9, 9], [0, 20, 9, 29]])
    rows = nms_of_one(nms, boxes, [0.1, 0.2], max_outputs=5, iou_threshold=0.5)
    assert rows == [1, 0]


@pytest.mark.parametrize("threshold", ["03", "05", "07"])
@pytest.mark.parametrize(("form", "plus_one"), [("plain", False), ("plus1", True)])
def test_kept_boxes_equal_the_references(golden, nms, threshold, form, plus_one):
    stored = golden("nms")
    rows = nms_of_one(
        nms,
        stored["boxes"][:, YX],
        stored["scores"],
        max_outputs=len(stored["boxes"]),
        iou_threshold=int(threshold) / 10,
        plus_one=plus_one,
    )
    stored.compare("kept rows", f"keep_{form}_{threshold}", rows)


@pytest.mark.parametrize(
    ("form", "plus_one"), [("equal", False), ("equal_plus1", True)]
)
def test_equality_keeps_as_in_the_references(golden, nms, form, plus_one):
    stored = golden("nms")
    rows = nms_of_one(
        nms,
        stored[f"{form}_boxes"][:, YX],
        stored["equal_scores"],
        max_outputs=len(stored["equal_scores"]),
        iou_threshold=0.5,
        plus_one=plus_one,
    )
    stored.compare("kept rows", f"{form}_keep_05", rows)


@pytest.mark.parametrize(
    ("iou_threshold", "max_outputs", "plus_one"),
    [(0.5, 16, False), (0.3, 4, False), (0.5, 16, True)],
)
def test_all_kinds_of_boxes_equal_greedy_suppression(
    nms, iou_threshold, max_outputs, plus_one
):
    # Few coordinates and scores, so that scores, IoUs and whole boxes tie, some boxes
    # have no area, and some lie left of 0.
    corners = hnp.arrays(np.float32, (2, 16, 2, 2), elements=st.integers(-3, 6))
    scores = hnp.arrays(np.float32, (2, 16), elements=st.sampled_from([-1, 0, 0.5, 2]))
    settings = {
        "iou_threshold": iou_threshold,
        "max_outputs": max_outputs,
        "plus_one": plus_one,
    }

    @given(corners, scores, hnp.arrays(bool, (2, 16)))
    def check(corners, scores, valid):
        boxes = np.sort(corners, axis=2).reshape(2, 16, 4)
        rows = kept_rows(*nms(boxes, scores, valid, **settings))
        greedy = functools.partial(greedy_nms, **settings)
        assert rows == list(map(greedy, boxes, scores, valid))

    check()


@pytest.mark.parametrize("max_outputs", [15, 200])
def test_kept_boxes_overlap_little_and_dropped_boxes_overlap_a_better_one(
    nms, max_outputs
):
    rng = np.random.default_rng(0)
    centres, half_sides = (
        rng.uniform(0, 200, (3, 200, 2)),
        rng.uniform(5, 40, (3, 200, 2)),
    )
    boxes = np.concatenate([centres - half_sides, centres + half_sides], -1)
    boxes = boxes.astype(np.float32)
    scores = rng.uniform(size=(3, 200)).astype(np.float32)
    valid = rng.uniform(size=(3, 200)) < 0.8
    index, kept = nms(boxes, scores, valid, max_outputs=max_outputs, iou_threshold=0.5)
    for image, rows in enumerate(kept_rows(index, kept)):
        assert valid[image, rows].all()
        assert np.all(np.diff(scores[image, rows]) < 0)
        iou = pairwise_iou(boxes[image], boxes[image]).numpy()
        assert np.all(iou[np.ix_(rows, rows)] - np.eye(len(rows)) <= 0.5)
        is_full = len(rows) == max_outputs
        assert is_full == (max_outputs == 15)
        for row in np.setdiff1d(np.flatnonzero(valid[image]), rows):
            better = [keep for keep in rows if scores[image, keep] > scores[image, row]]
            suppressed = np.any(iou[row, better] > 0.5)
            worse_than_all = len(better) == len(rows)
            assert suppressed or (is_full and worse_than_all)


def test_the_result_of_an_image_does_not_depend_on_order_mates_or_padding(nms):
    rng = np.random.default_rng(1)
    corners = rng.uniform(0, 60, (2, 40, 2, 2)).astype(np.float32)
    boxes = np.sort(corners, axis=2).reshape(2, 40, 4)
    scores = rng.uniform(size=(2, 40)).astype(np.float32)
    settings = {"max_outputs": 40, "iou_threshold": 0.3}
    alone = nms_of_one(nms, boxes[0], scores[0], **settings)
    assert 5 < len(alone) < 40

    in_batch = kept_rows(*nms(boxes, scores, np.ones([2, 40], bool), **settings))
    assert in_batch[0] == alone

    order = rng.permutation(40)
    shuffled = nms_of_one(nms, boxes[0][order], scores[0][order], **settings)
    assert list(order[shuffled]) == alone

    padded = np.concatenate([boxes[:1], boxes[:1]], axis=1)
    better = np.concatenate([scores[:1], scores[:1] + 1], axis=1)
    valid = np.arange(80)[np.newaxis] < 40
    assert kept_rows(*nms(padded, better, valid, **settings))[0] == alone


@pytest.mark.parametrize(
    ("batch", "unroll", "loops"),
    [(1, False, False), (None, False, True), (3, False, True), (3, True, False)],
)
def test_one_image_and_images_without_a_loop_are_suppressed_alike(batch, unroll, loops):
    num = batch or 2
    corners = np.random.default_rng(2).uniform(0, 40, (num, 30, 2, 2))
    boxes = np.sort(np.float32(corners), axis=2).reshape(num, 30, 4)
    scores = np.random.default_rng(3).uniform(size=(num, 30)).astype(np.float32)
    valid = np.random.default_rng(4).uniform(size=(num, 30)) < 0.7
    settings = {"max_outputs": 12, "iou_threshold": 0.2}

    def suppress(boxes, scores, valid):
        return non_max_suppression(boxes, scores, valid, **settings, unroll=unroll)

    specs = [
        tf.TensorSpec([batch, *array.shape[1:]], array.dtype)
        for array in (boxes, scores, valid)
    ]
    graph = tf.function(suppress, specs)
    kinds = {op.type for op in graph.get_concrete_function().graph.get_operations()}
    assert bool({"While", "StatelessWhile"} & kinds) == loops
    index, kept = graph(boxes, scores, valid)
    greedy = functools.partial(greedy_nms, **settings)
    rows = kept_rows(index.numpy(), kept.numpy())
    assert rows == list(map(greedy, boxes, scores, valid))
    assert all(len(image) > 3 for image in rows)
