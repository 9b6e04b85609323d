import numpy as np
import pytest

from tests.helpers.golden import case_named, golden_cases
from tf_frcnn.ops.anchors import (
    caffe_base_anchors,
    centred_base_anchors,
    shift_over_grid,
)
from tf_frcnn.ops.box_coder import encode_boxes
from tf_frcnn.ops.boxes import inside_image, pairwise_iou
from tf_frcnn.ops.matching import best_matches, inside_crowd, label_anchors

TFR, CHN = "anchor_target_tf_faster_rcnn", "anchor_target_chenyuntc"
# Where the references label all anchors that no object reaches.
UNREACHED = "out_of_reach"
YX = [1, 0, 3, 2]  # x, y, x, y <-> y, x, y, x, of corners and of deltas
RATIOS = (0.5, 1.0, 2.0)


def label_boxes(anchors, anchor_valid, gt_boxes, gt_valid, *, plus_one, **settings):
    """Labels anchors as the layers do: the IoU and the rule in one graph."""
    iou = pairwise_iou(anchors, gt_boxes, plus_one=plus_one)
    labels = label_anchors(iou, anchor_valid, gt_valid, **settings)
    return labels, best_matches(iou, gt_valid)


def tfr_example(stored, case):
    """Returns the anchors, those inside the image, and the ground truth of a case."""
    height, width = (int(stored[f"{case}_{key}"]) for key in ("height", "width"))
    base = caffe_base_anchors(16, RATIOS, stored[f"{case}_scales"])
    anchors = shift_over_grid(base, height, width, 16)
    sizes = stored[f"{case}_im_info"][np.newaxis, :2]
    inside = inside_image(anchors, sizes, plus_one=True)
    gt_boxes = stored[f"{case}_gt_boxes"][np.newaxis, :, :4][..., YX]
    return anchors[np.newaxis], inside, gt_boxes, np.ones(gt_boxes.shape[:2], bool)


def chn_example(stored, case):
    height, width = (int(stored[f"{case}_{key}"]) for key in ("height", "width"))
    base = centred_base_anchors(16, RATIOS, stored[f"{case}_scales"])
    anchors = shift_over_grid(base, height, width, 16)
    sizes = stored[f"{case}_image_hw"][np.newaxis].astype(np.float32)
    gt_boxes = stored[f"{case}_gt_bbox"][np.newaxis]
    inside = inside_image(anchors, sizes)
    return anchors[np.newaxis], inside, gt_boxes, np.ones(gt_boxes.shape[:2], bool)


def cell_by_cell(labels, height, width):
    """Turns tf-faster-rcnn's (1, 1, A * h, w) into anchors fastest."""
    return labels.reshape(-1, height, width).transpose(1, 2, 0).ravel()


def test_each_box_is_matched_to_its_highest_iou_and_to_the_first_on_ties(in_mode):
    iou = np.float32([[[0.1, 0.6, 0.3], [0.5, 0.2, 0.5], [0, 0, 0]]])
    matches = in_mode(best_matches)(iou, np.array([[True] * 3]))
    np.testing.assert_array_equal(matches.index, [[1, 0, 0]])
    np.testing.assert_array_equal(matches.iou, np.float32([[0.6, 0.5, 0]]))


def test_padded_ground_truth_is_never_matched(in_mode):
    iou = np.float32([[[0.1, 0.9]], [[0.4, 0.9]]])
    gt_valid = np.array([[True, False], [False, False]])
    matches = in_mode(best_matches)(iou, gt_valid)
    np.testing.assert_array_equal(matches.index, [[0], [0]])
    np.testing.assert_array_equal(matches.iou, np.float32([[0.1], [-1]]))


def test_anchors_are_labelled_by_both_thresholds_and_by_the_best_of_each_box(in_mode):
    iou = np.float32(
        [[[0.7, 0.0], [0.69, 0.0], [0.3, 0.0], [0.29, 0.1], [0.0, 0.2], [0.0, 0.2]]]
    )
    labels = in_mode(label_anchors)(iou, np.array([[True] * 6]), np.array([[True] * 2]))
    # 0.7 reaches the threshold; 0.69 and 0.3 are neither; 0.2 is the best of box 1.
    np.testing.assert_array_equal(labels, [[1, -1, -1, 0, 1, 1]])


def test_thresholds_are_settings(in_mode):
    iou = np.float32([[[0.9], [0.55], [0.5], [0.45], [0.1]]])
    labels = in_mode(label_anchors)(
        iou,
        np.array([[True] * 5]),
        np.array([[True]]),
        positive_iou=0.5,
        negative_iou=0.45,
    )
    np.testing.assert_array_equal(labels, [[1, 1, 1, -1, 0]])


def test_clobbered_positives_are_those_below_the_negative_threshold(in_mode):
    iou = np.float32([[[0.2, 0.0], [0.0, 0.5], [0.8, 0.0]], [[0.2, 0], [0, 0], [0, 0]]])
    masks = np.ones([2, 3], bool), np.ones([2, 2], bool)
    label = in_mode(label_anchors)
    np.testing.assert_array_equal(label(iou, *masks), [[0, 1, 1], [1, 0, 0]])
    np.testing.assert_array_equal(
        label(iou, *masks, clobber_positives=True), [[0, 1, 1], [0, 0, 0]]
    )


def test_the_best_anchor_of_a_box_need_not_be_positive(in_mode):
    iou = np.float32([[[0.65, 0.0], [0.4, 0.0], [0.0, 0.2]]])
    masks = np.ones([1, 3], bool), np.ones([1, 2], bool)
    label = in_mode(label_anchors)
    np.testing.assert_array_equal(label(iou, *masks), [[1, -1, 1]])
    np.testing.assert_array_equal(
        label(iou, *masks, best_is_positive=False), [[-1, -1, 0]]
    )


def test_an_anchor_that_takes_no_part_is_no_best_anchor(in_mode):
    iou = np.float32([[[0.9], [0.4], [0.1]]])
    labels = in_mode(label_anchors)(
        iou, np.array([[False, True, True]]), np.array([[True]])
    )
    np.testing.assert_array_equal(labels, [[-1, 1, 0]])


def test_a_box_that_no_anchor_touches_makes_no_anchor_positive(in_mode):
    iou = np.float32([[[0.0], [0.0], [0.9]]])
    labels = in_mode(label_anchors)(
        iou, np.array([[True, True, False]]), np.array([[True]])
    )
    np.testing.assert_array_equal(labels, [[0, 0, -1]])


def test_all_anchors_of_an_image_without_objects_are_background(in_mode):
    iou = np.float32([[[0.9, 0.9], [0.0, 0.0], [0.0, 0.0]]])
    labels = in_mode(label_anchors)(
        iou, np.array([[True, True, False]]), np.array([[False, False]])
    )
    np.testing.assert_array_equal(labels, [[0, 0, -1]])


def test_an_image_does_not_depend_on_padded_rows_nor_on_batch_mates(in_mode):
    rng = np.random.default_rng(0)
    iou = np.round(rng.uniform(0, 1, (3, 40, 4)), 1).astype(np.float32)
    anchor_valid = rng.uniform(size=(3, 40)) < 0.8
    gt_valid = np.array([[True] * 4, [True, True, False, False], [True] * 3 + [False]])
    label, match = in_mode(label_anchors), in_mode(best_matches)
    labels, matches = label(iou, anchor_valid, gt_valid), match(iou, gt_valid)
    for image, num_boxes in enumerate([4, 2, 3]):
        alone = iou[image : image + 1, :, :num_boxes], np.ones([1, num_boxes], bool)
        own_valid = anchor_valid[image : image + 1]
        np.testing.assert_array_equal(
            labels[image], label(alone[0], own_valid, alone[1])[0]
        )
        np.testing.assert_array_equal(matches.index[image], match(*alone).index[0])
        np.testing.assert_array_equal(matches.iou[image], match(*alone).iou[0])


def test_no_box_loses_its_best_anchor_when_iou_and_labels_are_fused(in_mode):
    rng = np.random.default_rng(0)
    centres = rng.uniform(0, 400, (2, 330, 2))
    half_sides = rng.uniform(2, 90, (2, 330, 2))
    boxes = np.concatenate([centres - half_sides, centres + half_sides], -1)
    gt_boxes, anchors = np.split(boxes.astype(np.float32), [30], axis=1)
    valid = np.ones([2, 300], bool), np.ones([2, 30], bool)
    labels, _ = in_mode(label_boxes)(
        anchors, valid[0], gt_boxes, valid[1], plus_one=False
    )
    iou = pairwise_iou(anchors, gt_boxes).numpy()
    best_of_each_box = iou.argmax(axis=1)
    assert np.all(np.take_along_axis(labels, best_of_each_box, axis=1) == 1)


def test_more_than_seven_tenths_of_a_box_make_it_part_of_a_crowd(in_mode):
    boxes = np.float32(
        [[0, 0, 10, 10], [93, 0, 103, 10], [92.9, 0, 102.9, 10], [200, 0, 210, 10]]
    )
    gt_boxes = np.float32([[[0, 0, 100, 100], [200, 0, 210, 10], [0, 0, 0, 0]]] * 2)
    crowd = np.array([[True, False, False], [False, True, False]])
    inside = in_mode(inside_crowd)(boxes, gt_boxes, crowd)
    np.testing.assert_array_equal(
        inside, [[True, False, True, False], [False, False, False, True]]
    )


@pytest.mark.parametrize("case", golden_cases(TFR, without=UNREACHED))
def test_anchor_targets_equal_tf_faster_rcnn(golden, in_mode, case):
    stored = golden(TFR)
    anchors, inside, gt_boxes, gt_valid = tfr_example(stored, case)
    labels, matches = in_mode(label_boxes)(
        anchors,
        inside,
        gt_boxes,
        gt_valid,
        plus_one=True,
        clobber_positives=bool(stored[f"{case}_clobber"]),
    )
    height, width = (int(stored[f"{case}_{key}"]) for key in ("height", "width"))
    expected = cell_by_cell(stored[f"{case}_labels"], height, width)
    stored.compare("labels", f"{case}_labels", labels[0], expected)
    deltas = in_mode(encode_boxes)(gt_boxes[0][matches.index], anchors, plus_one=True)
    deltas = np.where(inside[..., np.newaxis], deltas, 0)[0]
    name = f"{case}_bbox_targets"
    targets = stored[name].reshape(-1, 4)[:, YX]
    stored.compare("deltas", name, deltas, targets, atol=1e-5)


@pytest.mark.parametrize("case", golden_cases(CHN, without=UNREACHED))
def test_anchor_targets_equal_chenyuntc(golden, in_mode, case):
    stored = golden(CHN)
    anchors, inside, gt_boxes, gt_valid = chn_example(stored, case)
    labels, matches = in_mode(label_boxes)(
        anchors, inside, gt_boxes, gt_valid, plus_one=False
    )
    stored.compare("labels", f"{case}_labels", labels[0])
    deltas = in_mode(encode_boxes)(gt_boxes[0][matches.index], anchors)
    deltas = np.where(inside[..., np.newaxis], deltas, 0)[0]
    stored.compare("deltas", f"{case}_loc", deltas, atol=1e-5)


@pytest.mark.parametrize("case", golden_cases("anchor_target_torchvision"))
def test_anchor_targets_equal_torchvision(golden, in_mode, case):
    stored = golden("anchor_target_torchvision")
    anchors, gt_boxes = stored["anchors"][:, YX], stored[f"{case}_gt_boxes"][:, YX]
    # A case has no ground truth; padding must not become one.
    padded = np.concatenate([gt_boxes, anchors[:2]])
    gt_valid = np.arange(len(padded)) < len(gt_boxes)
    labels, matches = in_mode(label_boxes)(
        anchors[np.newaxis],
        np.ones([1, len(anchors)], bool),
        padded[np.newaxis],
        gt_valid[np.newaxis],
        plus_one=False,
    )
    stored.compare("labels", f"{case}_labels", labels[0])
    deltas = in_mode(encode_boxes)(padded[matches.index[0]], anchors)
    positive = labels[0] == 1
    matched = stored[f"{case}_matched_gt_boxes"][:, YX]
    np.testing.assert_array_equal(padded[matches.index[0]][positive], matched[positive])
    name = f"{case}_targets"
    if name in stored:
        targets = stored[name][:, YX][positive]
        stored.compare("deltas", name, deltas[positive], targets, atol=1e-5)
    else:
        assert not positive.any()


@pytest.mark.parametrize(
    ("file", "example", "case", "plus_one"),
    [
        (TFR, tfr_example, case_named(TFR, UNREACHED), True),
        (CHN, chn_example, case_named(CHN, UNREACHED), False),
    ],
)
def test_a_box_out_of_reach_gives_no_positives_unlike_in_the_references(
    golden, in_mode, file, example, case, plus_one
):
    stored = golden(file)
    anchors, inside, gt_boxes, gt_valid = example(stored, case)
    iou = pairwise_iou(anchors, gt_boxes, plus_one=plus_one).numpy()
    iou[~inside.numpy()] = 0
    unreached = iou.max(axis=1)[0] == 0
    assert unreached.any()
    label = in_mode(label_boxes)
    labels, _ = label(anchors, inside, gt_boxes, gt_valid, plus_one=plus_one)
    without, _ = label(
        anchors, inside, gt_boxes, gt_valid & ~unreached, plus_one=plus_one
    )
    np.testing.assert_array_equal(labels, without)
    assert np.all(iou.max(axis=2)[labels == 1] > 0)
    assert (labels == 1).sum() < stored[f"{case}_counts"][0]


def test_padded_boxes_do_not_change_the_targets_of_a_reference_case(golden, in_mode):
    stored, case = golden(TFR), case_named(TFR, "low_quality")
    anchors, inside, gt_boxes, _ = tfr_example(stored, case)
    padding = np.tile(anchors[:, 100:101], [1, 3, 1])
    padded = np.concatenate([padding, gt_boxes, padding], axis=1)
    gt_valid = np.array([[False] * 3 + [True] * gt_boxes.shape[1] + [False] * 3])
    labels, _ = in_mode(label_boxes)(anchors, inside, padded, gt_valid, plus_one=True)
    height, width = (int(stored[f"{case}_{key}"]) for key in ("height", "width"))
    expected = cell_by_cell(stored[f"{case}_labels"], height, width)
    np.testing.assert_array_equal(labels[0], expected)


@pytest.mark.parametrize("name", ["sampled", "sampled2"])
def test_counts_before_sampling_equal_tf_faster_rcnn(golden, in_mode, name):
    stored = golden(TFR)
    anchors, inside, _, _ = tfr_example(stored, "sampled")
    gt_boxes = stored[f"{name}_gt_boxes"][np.newaxis, :, :4][..., YX]
    gt_valid = np.ones(gt_boxes.shape[:2], bool)
    labels, _ = in_mode(label_boxes)(anchors, inside, gt_boxes, gt_valid, plus_one=True)
    counts = [np.count_nonzero(labels == value) for value in (1, 0, -1)]
    stored.compare("counts before sampling", f"{name}_counts_before", counts)


def test_labels_before_sampling_equal_the_references(golden, in_mode):
    stored = golden(TFR)
    labels, _ = in_mode(label_boxes)(*tfr_example(stored, "sampled"), plus_one=True)
    height, width = (int(stored[f"sampled_{key}"]) for key in ("height", "width"))
    name = "sampled_labels_before"
    expected = cell_by_cell(stored[name], height, width)
    stored.compare("labels", name, labels[0], expected)
    stored = golden(CHN)
    labels, _ = in_mode(label_boxes)(*chn_example(stored, "sampled"), plus_one=False)
    stored.compare("labels", name, labels[0])
