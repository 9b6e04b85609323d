import numpy as np
import pytest

from tests.helpers.golden import golden_cases
from tf_frcnn.layers import ProposalTargetLayer
from tf_frcnn.structures import Proposals

TFR, CHN = "proposal_target_tf_faster_rcnn", "proposal_target_chenyuntc"
TV = "proposal_target_torchvision"
YX = [1, 0, 3, 2]  # x, y, x, y <-> y, x, y, x, of corners and of deltas
SEED = np.int64([0, 0, 0])


def proposals_of(boxes, valid=None):
    boxes = np.float32(boxes)[np.newaxis]
    if valid is None:
        valid = np.ones(boxes.shape[1], bool)
    scores = np.ones(boxes.shape[:2], np.float32)
    levels = np.arange(boxes.shape[1], dtype=np.int32)[np.newaxis]
    return Proposals(boxes, scores, np.array(valid)[np.newaxis], levels)


def targets_of(layer, boxes, gt_boxes, gt_labels, *, valid=None, seed=SEED):
    """Returns the boxes, labels and deltas of one image; checks the levels.

    The level of a proposal is its row.
    """
    targets = layer(
        proposals_of(boxes, valid),
        np.float32(gt_boxes)[np.newaxis],
        np.int32(gt_labels)[np.newaxis],
        seed,
    )
    *values, levels = (part[0].numpy() for part in targets)
    candidates = np.concatenate([boxes, gt_boxes]).astype(np.float32)
    own = np.where(levels < len(boxes), levels, 0)
    is_proposal = (candidates[own] == values[0]).all(axis=1)
    assert np.all(is_proposal | (levels == 0))
    return tuple(values)


def rows_among(boxes, candidates):
    """Returns the index of each box among the candidates, which must hold it."""
    equal = (boxes[:, np.newaxis] == candidates).all(axis=-1)
    assert np.all(equal.any(axis=1))
    return equal.argmax(axis=1)


def in_modes(file):
    """Returns each case in graph mode, and the last in the other modes."""
    cases = golden_cases(file)
    others = (("eager", cases[-1]), ("xla", cases[-1]))
    return [*(("graph", case) for case in cases), *others]


def counts_of(labels):
    return [np.count_nonzero(labels > 0), np.count_nonzero(labels == 0)]


def sorted_rows(boxes, labels, deltas):
    """Returns [R, 9], the targets row by row in a certain order."""
    rows = np.concatenate([boxes, labels[:, np.newaxis], deltas], axis=1)
    return rows[np.lexsort(rows.T)]


# IoU with the box: 1, 0.8, 0.5, 0.2 and 0.
BOX = [10, 10, 30, 30]
CANDIDATES = [
    BOX,
    [10, 10, 30, 26],
    [10, 10, 30, 20],
    [10, 10, 14, 30],
    [50, 50, 60, 60],
]
ALL_OF_THEM = {
    "num_samples": 8,
    "foreground_fraction": 1.0,
    "add_ground_truth": False,
}


def test_labels_and_deltas_by_hand():
    layer = ProposalTargetLayer(ALL_OF_THEM)
    boxes, labels, deltas = targets_of(layer, CANDIDATES, [BOX], [6])
    rows = rows_among(boxes[:5], np.float32(CANDIDATES))
    assert set(rows[:3]) == {0, 1, 2} and set(rows[3:]) == {3, 4}
    np.testing.assert_array_equal(labels, [7, 7, 7, 0, 0, -1, -1, -1])
    np.testing.assert_array_equal(boxes[5:], np.zeros([3, 4]))
    # Centre 18 to 20 and width 16 to 20, divided by 0.1 and 0.2.
    second = deltas[list(rows).index(1)]
    np.testing.assert_allclose(second, [0, 1.25, 0, 5 * np.log(1.25)], atol=1e-5)
    np.testing.assert_array_equal(deltas[3:], np.zeros([5, 4]))


def test_background_begins_at_its_lower_bound_and_ends_below_its_upper_bound():
    quarter = [10, 10, 15, 30]
    layer = ProposalTargetLayer(
        {
            **ALL_OF_THEM,
            "foreground_iou": 0.9,
            "background_iou_low": 0.25,
            "background_iou_high": 0.5,
        }
    )
    boxes, labels, _ = targets_of(layer, [*CANDIDATES, quarter], [BOX], [0])
    np.testing.assert_array_equal(labels, [1, 0, *[-1] * 6])
    np.testing.assert_array_equal(boxes[:2], [BOX, quarter])


def test_a_roi_takes_the_class_of_the_box_it_overlaps_most():
    gt_boxes = [BOX, [10, 10, 30, 20]]
    boxes, labels, _ = targets_of(
        ProposalTargetLayer(ALL_OF_THEM), CANDIDATES[:3], gt_boxes, [4, 9]
    )
    rows = rows_among(boxes[:3], np.float32(CANDIDATES))
    assert dict(zip(rows, labels[:3], strict=True)) == {0: 5, 1: 5, 2: 10}


def test_ground_truth_is_a_candidate_if_asked_for():
    far = [[50, 50, 60, 60]]
    layer = ProposalTargetLayer({"num_samples": 4})
    boxes, labels, deltas = targets_of(layer, far, [BOX], [2])
    np.testing.assert_array_equal(boxes[:2], [BOX, far[0]])
    np.testing.assert_array_equal(labels, [3, 0, -1, -1])
    np.testing.assert_array_equal(deltas, np.zeros([4, 4]))
    layer = ProposalTargetLayer({"num_samples": 4, "add_ground_truth": False})
    _, labels, _ = targets_of(layer, far, [BOX], [2])
    np.testing.assert_array_equal(labels, [0, -1, -1, -1])


def test_padded_proposals_and_padded_ground_truth_are_never_taken():
    layer = ProposalTargetLayer({"num_samples": 8, "foreground_fraction": 1.0})
    boxes, labels, _ = targets_of(
        layer,
        [*CANDIDATES, BOX, [0, 0, 0, 0]],
        [BOX, [50, 50, 60, 60]],
        [6, -1],
        valid=[True, False, True, True, False, False, False],
    )
    taken = rows_among(boxes[:4], np.float32(CANDIDATES))
    assert sorted(taken) == [0, 0, 2, 3]  # the proposal and the ground truth are equal
    np.testing.assert_array_equal(labels, [7, 7, 7, 0, -1, -1, -1, -1])


def test_an_image_without_objects_gives_background_only():
    boxes, labels, deltas = targets_of(
        ProposalTargetLayer({"num_samples": 8}), CANDIDATES, [BOX], [-1]
    )
    assert set(rows_among(boxes[:5], np.float32(CANDIDATES))) == {0, 1, 2, 3, 4}
    np.testing.assert_array_equal(labels, [0] * 5 + [-1] * 3)
    np.testing.assert_array_equal(deltas, np.zeros([8, 4]))


def test_an_image_without_objects_has_no_background_above_a_lower_bound():
    layer = ProposalTargetLayer(
        {"num_samples": 2, "background_iou_low": 0.1, "background_iou_high": 0.5}
    )
    _, labels, _ = targets_of(layer, CANDIDATES, [BOX], [-1])
    np.testing.assert_array_equal(labels, [-1, -1])


def test_the_sample_follows_from_the_seed():
    rng = np.random.default_rng(0)
    corners = np.sort(rng.uniform(0, 100, (60, 2, 2)), axis=1)
    boxes = corners.reshape(60, 4)
    layer = ProposalTargetLayer({"num_samples": 16})
    first, same, other = (
        targets_of(layer, boxes, boxes[:2], [0, 1], seed=np.int64(seed))[0]
        for seed in ([1, 5, 0], [1, 5, 0], [2, 5, 0])
    )
    np.testing.assert_array_equal(first, same)
    assert np.any(first != other)


def test_an_image_does_not_depend_on_padding_nor_on_its_batch_mate():
    layer = ProposalTargetLayer(ALL_OF_THEM | {"add_ground_truth": True})
    alone = targets_of(layer, CANDIDATES, [BOX], [6])
    mate, padding = np.float32([[[5, 5, 25, 25]] * 9]), np.float32([BOX] * 4)
    first = np.concatenate([CANDIDATES, padding])[np.newaxis]
    both = layer(
        Proposals(
            np.concatenate([first, mate]).astype(np.float32),
            np.ones([2, 9], np.float32),
            np.arange(9) < [[5], [9]],
            np.zeros([2, 9], np.int32),
        ),
        np.float32([[BOX, BOX], [BOX, [5, 5, 25, 25]]]),
        np.int32([[6, -1], [3, 4]]),
        SEED,
    )
    # The order within foreground and background is random.
    first = [values[0].numpy() for values in both[:3]]
    np.testing.assert_allclose(sorted_rows(*first), sorted_rows(*alone), atol=1e-6)


def tfr_inputs(stored, case):
    """Returns candidates, ground truth and its labels of a case of tf-faster-rcnn."""
    gt_boxes = stored[f"{case}_gt_boxes"]
    labels = gt_boxes[:, 4] - 1
    return stored[f"{case}_in_rois"][:, 1:][:, YX], gt_boxes[:, :4][:, YX], labels


@pytest.mark.parametrize(("mode", "case"), in_modes(TFR))
def test_targets_equal_tf_faster_rcnn(golden, layer_in, mode, case):
    stored = golden(TFR)
    boxes, gt_boxes, gt_labels = tfr_inputs(stored, case)
    use_gt, keep = bool(stored[f"{case}_use_gt"]), stored[f"{case}_keep"]
    candidates = np.concatenate([boxes, gt_boxes]) if use_gt else boxes
    layer = ProposalTargetLayer(
        {
            "num_samples": len(candidates),
            "foreground_fraction": 1.0,
            "background_iou_low": float(stored[f"{case}_bg_thresh_lo"]),
            "background_iou_high": 0.5,
            "add_ground_truth": use_gt,
        },
        conventions={"plus_one": True},
    )
    rois, labels, deltas = targets_of(layer_in(mode, layer), boxes, gt_boxes, gt_labels)
    used = labels >= 0
    assert np.all(labels[: stored[f"{case}_num_fg"]] > 0)
    order = np.argsort(rows_among(rois[used], candidates))
    expected_order = np.argsort(keep)
    rows = rows_among(rois[used], candidates)[order]
    stored.compare("sampled rows", f"{case}_keep", rows, keep[expected_order])
    expected = stored[f"{case}_labels"][:, 0][expected_order]
    stored.compare("labels", f"{case}_labels", labels[used][order], expected)
    name = f"{case}_bbox_targets"
    of_classes = stored[name].reshape(len(keep), -1, 4)
    targets = of_classes[expected_order, expected][:, YX]
    stored.compare("deltas", name, deltas[used][order], targets, atol=1e-4)
    assert not deltas[~used].any()


@pytest.mark.parametrize(
    "case",
    [*(f"{case}_batch128" for case in golden_cases(TFR)), "only_bg", "only_fg"],
)
def test_counts_with_repeats_equal_tf_faster_rcnn(golden, case):
    stored = golden(TFR)
    name = case.removesuffix("_batch128")
    layer = ProposalTargetLayer(
        {
            "background_iou_low": float(stored.get(f"{name}_bg_thresh_lo", 0.0)),
            "background_iou_high": 0.5,
            "add_ground_truth": bool(stored.get(f"{name}_use_gt", False)),
        },
        conventions={"fill_with_repeats": True, "plus_one": True},
    )
    _, labels, _ = targets_of(layer, *tfr_inputs(stored, name))
    name = f"{case}_counts"
    stored.compare("sampled counts", name, counts_of(labels), stored[name][:2])


@pytest.mark.parametrize(("mode", "case"), in_modes(CHN))
def test_targets_equal_chenyuntc(golden, layer_in, mode, case):
    stored = golden(CHN)
    boxes, gt_boxes = stored[f"{case}_in_rois"], stored[f"{case}_gt_bbox"]
    keep, num_foreground = stored[f"{case}_keep"], int(stored[f"{case}_num_fg"])
    candidates = np.concatenate([boxes, gt_boxes])
    layer = ProposalTargetLayer(
        {"num_samples": len(candidates), "foreground_fraction": 1.0}
    )
    rois, labels, deltas = targets_of(
        layer_in(mode, layer), boxes, gt_boxes, stored[f"{case}_gt_label"]
    )
    rows = rows_among(rois, candidates)
    expected_order = np.argsort(keep)
    stored.compare("sampled rows", f"{case}_keep", np.sort(rows), keep[expected_order])
    order = np.argsort(rows)
    expected = stored[f"{case}_labels"][expected_order]
    stored.compare("labels", f"{case}_labels", labels[order], expected)
    assert np.count_nonzero(expected) == num_foreground
    # Background rows of the reference have targets, which its loss does not read.
    is_object = expected[:, np.newaxis] > 0
    targets = np.where(is_object, stored[f"{case}_loc"][expected_order], 0)
    stored.compare("deltas", f"{case}_loc", deltas[order], targets, atol=1e-4)


@pytest.mark.parametrize("case", golden_cases(CHN))
@pytest.mark.parametrize(("num_rois", "key"), [(None, "sample128"), (40, "first40")])
def test_sampled_counts_equal_chenyuntc(golden, case, num_rois, key):
    stored = golden(CHN)
    _, labels, _ = targets_of(
        ProposalTargetLayer(),
        stored[f"{case}_in_rois"][:num_rois],
        stored[f"{case}_gt_bbox"],
        stored[f"{case}_gt_label"],
    )
    stored.compare("sampled counts", f"{case}_{key}_counts", counts_of(labels))


@pytest.mark.parametrize(("mode", "case"), in_modes(TV))
def test_targets_equal_torchvision(golden, layer_in, mode, case):
    stored = golden(TV)
    boxes, candidates = (stored[f"{case}_{key}"][:, YX] for key in ("in_rois", "rois"))
    gt_boxes = np.pad(stored[f"{case}_gt_boxes"][:, YX], [(0, 1), (0, 0)])
    gt_labels = np.append(stored[f"{case}_gt_labels"] - 1, -1)
    layer = ProposalTargetLayer(
        {"num_samples": len(candidates), "foreground_fraction": 1.0}
    )
    rois, labels, deltas = targets_of(layer_in(mode, layer), boxes, gt_boxes, gt_labels)
    rows = rows_among(rois, candidates)
    np.testing.assert_array_equal(np.sort(rows), np.arange(len(candidates)))
    name = f"{case}_labels"
    stored.compare("labels", name, labels, stored[name][rows])
    name = f"{case}_targets"
    targets = stored.get(name, np.zeros_like(candidates))[rows][:, YX]
    targets = np.where(labels[:, np.newaxis] > 0, targets, 0)
    stored.compare("deltas", name, deltas, targets, atol=1e-4)


def test_a_roi_keeps_the_level_of_its_proposal():
    proposals = proposals_of(CANDIDATES)._replace(levels=np.int32([[3, 1, 4, 1, 5]]))
    targets = ProposalTargetLayer(ALL_OF_THEM)(
        proposals, np.float32([[BOX]]), np.int32([[0]]), SEED
    )
    rows = rows_among(targets.boxes[0, :5].numpy(), np.float32(CANDIDATES))
    np.testing.assert_array_equal(
        targets.levels[0], [*np.array([3, 1, 4, 1, 5])[rows], 0, 0, 0]
    )


@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
@pytest.mark.parametrize("settings", [{}, {"add_ground_truth": True}])
def test_rois_in_a_crowd_are_neither_background_nor_its_objects(
    layer_in, mode, settings
):
    crowd_box = [40, 40, 90, 90]
    gt_boxes = np.float32([[crowd_box, BOX, [0, 0, 0, 0]]])
    gt_labels, crowd = np.int32([[2, 6, -1]]), np.array([[True, False, False]])
    outside = [36, 50, 46, 60]  # Six tenths of it lie in the crowd.
    proposals = proposals_of([*CANDIDATES, crowd_box, outside])
    layer = layer_in(mode, ProposalTargetLayer(ALL_OF_THEM | settings))
    boxes, labels, _, _ = layer(proposals, gt_boxes, gt_labels, SEED, crowd)
    kept = {tuple(box) for box in boxes[0].numpy() if box.any()}
    # The last candidate lies in the crowd.
    assert kept == {tuple(map(float, box)) for box in [*CANDIDATES[:-1], outside]}
    assert set(labels.numpy().ravel()) == {7, 0, -1}
    _, labels, _, _ = layer(proposals, gt_boxes, gt_labels, SEED)
    assert set(labels.numpy().ravel()) >= {3, 7, 0}


def test_a_roi_of_an_object_in_a_crowd_is_learned():
    gt_boxes = np.float32([[[0, 0, 90, 90], BOX]])
    layer = ProposalTargetLayer(ALL_OF_THEM)
    _, labels, _, _ = layer(
        proposals_of(CANDIDATES),
        gt_boxes,
        np.int32([[2, 6]]),
        SEED,
        np.array([[True, False]]),
    )
    np.testing.assert_array_equal(labels[0], [7, 7, 7, -1, -1, -1, -1, -1])


def test_an_images_sample_does_not_depend_on_the_rows_of_padding():
    draw = np.random.default_rng(0)
    corners = np.sort(draw.uniform(0, 100, (2, 90, 2, 2)), axis=2)
    boxes = np.float32(corners.reshape(2, 90, 4))
    ones = np.ones([2, 90], np.float32)
    proposals = Proposals(boxes, ones, ones > 0, np.zeros([2, 90], np.int32))
    layer = ProposalTargetLayer({"num_samples": 16})
    samples = []
    for num_rows in (3, 8, 16):
        gt_boxes = np.zeros([2, num_rows, 4], np.float32)
        gt_boxes[:, :3] = boxes[:, 5:8] + 1
        gt_labels = np.full([2, num_rows], -1, np.int32)
        gt_labels[:, :3] = 1
        samples.append(layer(proposals, gt_boxes, gt_labels, SEED))
    for other in samples[1:]:
        np.testing.assert_array_equal(other.boxes, samples[0].boxes)
        np.testing.assert_array_equal(other.labels, samples[0].labels)
