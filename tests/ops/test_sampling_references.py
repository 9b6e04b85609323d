import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.golden import golden_cases
from tf_frcnn.ops.box_coder import encode_boxes
from tf_frcnn.ops.boxes import pairwise_iou
from tf_frcnn.ops.matching import best_matches
from tf_frcnn.ops.sampling import random_keys, sample_anchors, sample_rois

TFR, CHN = "proposal_target_tf_faster_rcnn", "proposal_target_chenyuntc"
COUNTS = "sampled counts"  # A quantity of the golden table.
YX = [1, 0, 3, 2]  # x, y, x, y <-> y, x, y, x, of corners and of deltas
STDS = (0.1, 0.1, 0.2, 0.2)


def candidates_of(boxes, gt_boxes, *, plus_one, background_from):
    """Returns the matches and who may be foreground and who background."""
    iou = pairwise_iou(boxes, gt_boxes, plus_one=plus_one)[np.newaxis]
    matches = best_matches(iou, np.ones([1, len(gt_boxes)], bool))
    best_iou = matches.iou.numpy()
    foreground = best_iou >= 0.5
    background = (best_iou >= background_from) & ~foreground
    return matches.index.numpy()[0], foreground, background


def match_boxes(boxes, gt_boxes, gt_valid):
    iou = pairwise_iou(boxes, gt_boxes)
    return best_matches(iou[tf.newaxis], gt_valid[tf.newaxis])


def ascending(candidates):
    """Returns keys that make every choice the first candidates."""
    keys = np.arange(candidates.shape[1], dtype=np.float32) / candidates.shape[1]
    return np.broadcast_to(keys, candidates.shape)


def counts_of(foreground, index, valid):
    """Returns how many rows are foreground and how many background."""
    chosen_foreground = np.take_along_axis(foreground, index, axis=1)
    return [(chosen_foreground & valid).sum(), (~chosen_foreground & valid).sum()]


@pytest.mark.parametrize("name", ["sampled", "sampled2"])
def test_counts_of_sampled_anchors_equal_tf_faster_rcnn(golden, in_mode, name):
    stored = golden("anchor_target_tf_faster_rcnn")
    labels = np.repeat([1, 0, -1], stored[f"{name}_counts_before"])
    labels = np.random.default_rng(0).permutation(labels).astype(np.int32)
    keys = random_keys([1, len(labels)], [0, 0, 0])
    sampled = in_mode(sample_anchors)(labels[np.newaxis], keys)
    counts = [np.count_nonzero(sampled == value) for value in (1, 0, -1)]
    stored.compare(COUNTS, f"{name}_counts_after", counts)


def test_counts_of_sampled_anchors_equal_chenyuntc(golden, in_mode):
    stored = golden("anchor_target_chenyuntc")
    labels = stored["sampled_labels_before"].astype(np.int32)[np.newaxis]
    sampled = in_mode(sample_anchors)(labels, random_keys(labels.shape, [0, 0, 0]))
    counts = [np.count_nonzero(sampled == value) for value in (1, 0, -1)]
    stored.compare(COUNTS, "sampled_counts_after", counts)
    np.testing.assert_array_equal(sampled[sampled >= 0], labels[sampled >= 0])


@pytest.mark.parametrize("case", golden_cases(TFR))
def test_roi_targets_equal_tf_faster_rcnn(golden, in_mode, case):
    stored = golden(TFR)
    gt_boxes = stored[f"{case}_gt_boxes"][:, :4][:, YX]
    gt_labels = stored[f"{case}_gt_boxes"][:, 4]
    boxes = stored[f"{case}_in_rois"][:, 1:][:, YX]
    if stored[f"{case}_use_gt"]:
        boxes = np.concatenate([boxes, gt_boxes])
    matched, foreground, background = candidates_of(
        boxes,
        gt_boxes,
        plus_one=True,
        background_from=stored[f"{case}_bg_thresh_lo"],
    )
    keep, num_foreground = stored[f"{case}_keep"], int(stored[f"{case}_num_fg"])
    index, valid = in_mode(sample_rois)(
        foreground,
        background,
        ascending(foreground),
        num_samples=len(keep),
        foreground_fraction=1.0,
    )
    assert valid.all()
    stored.compare("sampled rows", f"{case}_keep", index[0])
    assert counts_of(foreground, index, valid)[0] == num_foreground
    labels = np.where(
        np.arange(len(keep)) < num_foreground, gt_labels[matched[keep]], 0
    )
    stored.compare("labels", f"{case}_labels", labels[:, np.newaxis])
    deltas = in_mode(encode_boxes)(
        gt_boxes[matched[keep]], boxes[keep], stds=STDS, plus_one=True
    )
    name = f"{case}_bbox_targets"
    of_classes = stored[name].reshape(len(keep), -1, 4)
    of_label = of_classes[np.arange(len(keep)), labels.astype(int)]
    found, expected = deltas[:num_foreground], of_label[:num_foreground, YX]
    stored.compare("deltas", name, found, expected, atol=1e-4)


@pytest.mark.parametrize(
    "case",
    [*(f"{case}_batch128" for case in golden_cases(TFR)), "only_bg", "only_fg"],
)
def test_counts_of_sampled_rois_equal_tf_faster_rcnn(golden, in_mode, case):
    stored = golden(TFR)
    name = case.removesuffix("_batch128")
    gt_boxes = stored[f"{name}_gt_boxes"][:, :4][:, YX]
    boxes = stored[f"{name}_in_rois"][:, 1:][:, YX]
    if stored.get(f"{name}_use_gt", False):
        boxes = np.concatenate([boxes, gt_boxes])
    _, foreground, background = candidates_of(
        boxes,
        gt_boxes,
        plus_one=True,
        background_from=stored.get(f"{name}_bg_thresh_lo", 0.0),
    )
    index, valid = in_mode(sample_rois)(
        foreground,
        background,
        random_keys(foreground.shape, [0, 0, 0]),
        fill_with_repeats=True,
    )
    assert valid.all()
    assert np.all((foreground | background)[0, index[0]])
    # The third number depends on the draw.
    name = f"{case}_counts"
    counts = counts_of(foreground, index, valid)
    stored.compare(COUNTS, name, counts, stored[name][:2])


@pytest.mark.parametrize("case", golden_cases(CHN))
def test_roi_targets_equal_chenyuntc(golden, in_mode, case):
    stored = golden(CHN)
    gt_boxes = stored[f"{case}_gt_bbox"]
    boxes = np.concatenate([stored[f"{case}_in_rois"], gt_boxes])
    matched, foreground, background = candidates_of(
        boxes, gt_boxes, plus_one=False, background_from=0.0
    )
    keep = stored[f"{case}_keep"]
    index, valid = in_mode(sample_rois)(
        foreground,
        background,
        ascending(foreground),
        num_samples=len(keep),
        foreground_fraction=1.0,
    )
    assert valid.all()
    stored.compare("sampled rows", f"{case}_keep", index[0])
    assert counts_of(foreground, index, valid)[0] == stored[f"{case}_num_fg"]
    deltas = in_mode(encode_boxes)(gt_boxes[matched[keep]], boxes[keep], stds=STDS)
    stored.compare("deltas", f"{case}_loc", deltas, atol=1e-4)


@pytest.mark.parametrize("case", golden_cases(CHN))
@pytest.mark.parametrize(("num_rois", "key"), [(None, "sample128"), (40, "first40")])
def test_counts_of_sampled_rois_equal_chenyuntc(golden, in_mode, case, num_rois, key):
    stored = golden(CHN)
    gt_boxes = stored[f"{case}_gt_bbox"]
    boxes = np.concatenate([stored[f"{case}_in_rois"][:num_rois], gt_boxes])
    _, foreground, background = candidates_of(
        boxes, gt_boxes, plus_one=False, background_from=0.0
    )
    index, valid = in_mode(sample_rois)(
        foreground, background, random_keys(foreground.shape, [0, 0, 0])
    )
    counts = counts_of(foreground, index, valid)
    stored.compare(COUNTS, f"{case}_{key}_counts", counts)


@pytest.mark.parametrize("num_samples", [512, 64])
@pytest.mark.parametrize("case", golden_cases("proposal_target_torchvision"))
def test_counts_of_sampled_rois_equal_torchvision(golden, in_mode, case, num_samples):
    stored = golden("proposal_target_torchvision")
    foreground = stored[f"{case}_labels"][np.newaxis] > 0
    index, valid = in_mode(sample_rois)(
        foreground,
        ~foreground,
        random_keys(foreground.shape, [0, 0, 0]),
        num_samples=num_samples,
    )
    counts = counts_of(foreground, index, valid)
    stored.compare(COUNTS, f"{case}_sample{num_samples}_counts", counts)


@pytest.mark.parametrize("case", golden_cases("proposal_target_torchvision"))
def test_roi_targets_equal_torchvision(golden, in_mode, case):
    stored = golden("proposal_target_torchvision")
    boxes = stored[f"{case}_rois"][:, YX]
    # A case has no ground truth; padding must not become one.
    gt_boxes = np.concatenate([stored[f"{case}_gt_boxes"][:, YX], boxes[:1]])
    gt_valid = np.arange(len(gt_boxes)) < len(gt_boxes) - 1
    matches = in_mode(match_boxes)(boxes, gt_boxes, gt_valid)
    # The reference gives what matches no box the first one.
    is_object = matches.iou[0] >= 0.5
    matched = np.where(is_object, matches.index[0], 0)
    stored.compare("sampled rows", f"{case}_matched", matched)
    gt_labels = np.append(stored[f"{case}_gt_labels"], -1)
    labels = np.where(is_object, gt_labels[matched], 0)
    stored.compare("labels", f"{case}_labels", labels)
    name = f"{case}_targets"
    assert (name in stored) == gt_valid.any()
    if name in stored:
        deltas = in_mode(encode_boxes)(gt_boxes[matched], boxes, stds=STDS)
        stored.compare("deltas", name, deltas, stored[name][:, YX], atol=1e-4)
