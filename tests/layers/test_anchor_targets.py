import numpy as np
import pytest

from tests.helpers.golden import case_named, golden_cases, load_golden
from tf_frcnn.layers import AnchorGrid, AnchorTargetLayer
from tf_frcnn.ops.boxes import inside_image, pairwise_iou
from tf_frcnn.structures import Anchors

TFR, CHN = "anchor_target_tf_faster_rcnn", "anchor_target_chenyuntc"
TV = "anchor_target_torchvision"
# Where the references label all anchors that no object reaches.
UNREACHED = "out_of_reach"
YX = [1, 0, 3, 2]  # x, y, x, y <-> y, x, y, x, of corners and of deltas
SEED = np.int64([0, 0, 0])
EVERY_ANCHOR = 10**6


def anchors_of(stored, case, style):
    height, width = (int(stored[f"{case}_{key}"]) for key in ("height", "width"))
    grid = AnchorGrid(
        anchors={"style": style, "scales": tuple(stored[f"{case}_scales"])}
    )
    sizes = np.float32([[16 * height, 16 * width]])
    features = [np.zeros([1, height, width, 1], np.float32)]
    return grid(features, sizes, np.int32([16 * height, 16 * width]))


def tfr_inputs(stored, case, gt_boxes=None):
    """Returns the layer's inputs for a case of tf-faster-rcnn."""
    sizes = stored[f"{case}_im_info"][np.newaxis, :2]
    if gt_boxes is None:
        gt_boxes = stored[f"{case}_gt_boxes"]
    gt_boxes = gt_boxes[np.newaxis, :, :4][..., YX]
    labels = np.zeros(gt_boxes.shape[:2], np.int32)
    return anchors_of(stored, case, "caffe"), sizes, gt_boxes, labels, SEED


def chn_inputs(stored, case):
    """Returns the layer's inputs for a case of simple-faster-rcnn-pytorch."""
    sizes = stored[f"{case}_image_hw"][np.newaxis].astype(np.float32)
    gt_boxes = stored[f"{case}_gt_bbox"][np.newaxis]
    labels = np.zeros(gt_boxes.shape[:2], np.int32)
    return anchors_of(stored, case, "centred"), sizes, gt_boxes, labels, SEED


def tfr_labels(stored, case):
    """Turns labels (1, 1, A * h, w) into anchors fastest."""
    height, width = (int(stored[f"{case}_{key}"]) for key in ("height", "width"))
    return (
        stored[f"{case}_labels"].reshape(-1, height, width).transpose(1, 2, 0).ravel()
    )


def in_modes(file, *, eager_and_xla):
    """Returns each case that counts in graph mode, and one in the other modes."""
    stored = load_golden(file)
    # Clobbering is no setting of the layer; `ops/test_matching.py` compares it.
    cases = golden_cases(file, without=UNREACHED)
    cases = [case for case in cases if not stored.get(f"{case}_clobber", False)]
    other = case_named(file, eager_and_xla)
    return [*(("graph", case) for case in cases), ("eager", other), ("xla", other)]


def whole(boxes, valid=None):
    """Returns boxes [N, 4] as the anchors of one level."""
    valid = np.ones(len(boxes), bool) if valid is None else np.array(valid)
    return Anchors(boxes, valid[np.newaxis], (np.array(len(boxes)),))


def counts_of(labels):
    return [np.count_nonzero(labels == value) for value in (1, 0, -1)]


def hand_made():
    """Returns anchors on an image of 100 x 100, one box, and their labels by hand."""
    anchors = np.float32(
        [
            [10, 10, 30, 30],  # the box itself
            [10, 10, 30, 26],  # 320 of 400 square pixels: 0.8
            [10, 10, 30, 22],  # 0.6: neither object nor background
            [60, 60, 80, 80],  # apart
            [-1, 10, 19, 30],  # crosses the edge by a pixel
        ]
    )
    gt_boxes = np.float32([[[10, 10, 30, 30]]])
    return anchors, gt_boxes, [1, 1, -1, 0, -1]


def test_labels_and_deltas_by_hand():
    anchors, gt_boxes, expected = hand_made()
    labels, deltas = AnchorTargetLayer()(
        whole(anchors),
        np.float32([[100, 100]]),
        gt_boxes,
        np.int32([[7]]),
        SEED,
    )
    np.testing.assert_array_equal(labels[0], expected)
    np.testing.assert_allclose(deltas[0, 0], [0, 0, 0, 0], atol=1e-6)
    # Centre 18 to 20 and width 16 to 20.
    np.testing.assert_allclose(deltas[0, 1], [0, 2 / 16, 0, np.log(1.25)], atol=1e-6)
    np.testing.assert_allclose(deltas[0, 3], [-2.5, -2.5, 0, 0], atol=1e-6)
    np.testing.assert_array_equal(deltas[0, 4], [0, 0, 0, 0])


def test_the_best_anchor_of_a_box_need_not_be_an_object():
    anchors, _, _ = hand_made()
    gt_boxes = np.float32([[[10, 10, 30, 45]]])  # IoU 4/7 with the best anchor
    for best_is_positive, first in ((True, 1), (False, -1)):
        labels, _ = AnchorTargetLayer({"best_is_positive": best_is_positive})(
            whole(anchors), np.float32([[100, 100]]), gt_boxes, np.int32([[0]]), SEED
        )
        assert labels[0, 0] == first


@pytest.mark.parametrize(
    ("border", "label"), [(0.0, -1), (0.5, -1), (1.0, 0), (None, 0)]
)
def test_an_anchor_may_cross_the_edge_by_the_allowed_border(border, label):
    anchors, _, _ = hand_made()
    labels, _ = AnchorTargetLayer({"allowed_border": border})(
        whole(anchors),
        np.float32([[100, 100]]),
        np.float32([[[60, 60, 80, 80]]]),
        np.int32([[0]]),
        SEED,
    )
    assert labels[0, 4] == label


def test_anchors_of_the_canvas_padding_count_for_nothing():
    anchors, gt_boxes, _ = hand_made()
    labels, deltas = AnchorTargetLayer()(
        whole(anchors, [False, True, True, True, True]),
        np.float32([[100, 100]]),
        gt_boxes,
        np.int32([[0]]),
        SEED,
    )
    np.testing.assert_array_equal(labels, [[-1, 1, -1, 0, -1]])
    np.testing.assert_array_equal(deltas[0, 0], [0, 0, 0, 0])


def test_an_image_without_objects_is_all_background():
    anchors, gt_boxes, _ = hand_made()
    labels, deltas = AnchorTargetLayer()(
        whole(anchors),
        np.float32([[100, 100]]),
        gt_boxes,
        np.int32([[-1]]),
        SEED,
    )
    np.testing.assert_array_equal(labels, [[0, 0, 0, 0, -1]])
    np.testing.assert_array_equal(deltas, np.zeros([1, 5, 4]))


def test_the_sample_follows_from_the_seed(golden):
    stored, case = golden(TFR), case_named(TFR, "many")
    *inputs, _ = tfr_inputs(stored, case)
    layer = AnchorTargetLayer({"num_samples": 64}, conventions={"plus_one": True})
    first, same, other = (
        layer(*inputs, np.int64(seed)).labels.numpy()
        for seed in ([1, 5, 0], [1, 5, 0], [1, 6, 0])
    )
    np.testing.assert_array_equal(first, same)
    assert counts_of(first) == counts_of(other)
    assert np.any(first != other)
    before = tfr_labels(stored, case)
    assert np.all(first[0][first[0] >= 0] == before[first[0] >= 0])


def test_padded_ground_truth_changes_nothing(golden):
    inputs = tfr_inputs(golden(TFR), case_named(TFR, "low_quality"))
    anchors, sizes, gt_boxes, gt_labels, seed = inputs
    layer = AnchorTargetLayer(conventions={"plus_one": True})
    expected = layer(anchors, sizes, gt_boxes, gt_labels, seed)
    padding = np.tile(anchors.boxes[100:101], [1, 3, 1])
    padded = layer(
        anchors,
        sizes,
        np.concatenate([padding, gt_boxes, padding], axis=1),
        np.pad(gt_labels, [(0, 0), (3, 3)], constant_values=-1),
        seed,
    )
    np.testing.assert_array_equal(padded.labels, expected.labels)
    np.testing.assert_array_equal(padded.deltas, expected.deltas)


@pytest.mark.parametrize(("mode", "case"), in_modes(TFR, eager_and_xla="ties"))
def test_targets_equal_tf_faster_rcnn(golden, layer_in, mode, case):
    stored = golden(TFR)
    layer = AnchorTargetLayer(
        {"num_samples": EVERY_ANCHOR}, conventions={"plus_one": True}
    )
    labels, deltas = layer_in(mode, layer)(*tfr_inputs(stored, case))
    expected = tfr_labels(stored, case)
    stored.compare("labels", f"{case}_labels", labels[0], expected)
    assert counts_of(labels) == list(stored[f"{case}_counts"])
    compare_tfr_deltas(stored, case, deltas[0])


def compare_tfr_deltas(stored, case, deltas):
    name = f"{case}_bbox_targets"
    targets = stored[name].reshape(-1, 4)[:, YX]
    stored.compare("deltas", name, deltas, targets, atol=1e-5)


@pytest.mark.parametrize(("mode", "case"), in_modes(CHN, eager_and_xla="ties"))
def test_targets_equal_chenyuntc(golden, layer_in, mode, case):
    stored = golden(CHN)
    layer = AnchorTargetLayer({"num_samples": EVERY_ANCHOR})
    labels, deltas = layer_in(mode, layer)(*chn_inputs(stored, case))
    stored.compare("labels", f"{case}_labels", labels[0])
    stored.compare("deltas", f"{case}_loc", deltas[0], atol=1e-5)


@pytest.mark.parametrize("name", ["sampled", "sampled2"])
def test_sampled_counts_equal_tf_faster_rcnn(golden, name):
    stored = golden(TFR)
    inputs = tfr_inputs(stored, "sampled", stored[f"{name}_gt_boxes"])
    labels, _ = AnchorTargetLayer(conventions={"plus_one": True})(*inputs)
    stored.compare("sampled counts", f"{name}_counts_after", counts_of(labels))


def test_sampled_counts_equal_chenyuntc(golden):
    stored = golden(CHN)
    labels, _ = AnchorTargetLayer()(*chn_inputs(stored, "sampled"))
    stored.compare("sampled counts", "sampled_counts_after", counts_of(labels))


@pytest.mark.parametrize(
    ("file", "inputs_of", "case", "plus_one"),
    [
        (TFR, tfr_inputs, case_named(TFR, UNREACHED), True),
        (CHN, chn_inputs, case_named(CHN, UNREACHED), False),
    ],
)
def test_an_unreached_box_makes_no_positives_unlike_in_the_references(
    golden, file, inputs_of, case, plus_one
):
    stored = golden(file)
    anchors, sizes, gt_boxes, gt_labels, seed = inputs_of(stored, case)
    inside = inside_image(anchors.boxes, sizes, plus_one=plus_one).numpy()[0]
    iou = pairwise_iou(anchors.boxes[inside], gt_boxes[0], plus_one=plus_one).numpy()
    unreached = iou.max(axis=0) == 0
    assert unreached.any() and not unreached.all()
    layer = AnchorTargetLayer(
        {"num_samples": EVERY_ANCHOR}, conventions={"plus_one": plus_one}
    )
    labels, _ = layer(anchors, sizes, gt_boxes, gt_labels, seed)
    reached_only = np.where(unreached, -1, gt_labels).astype(np.int32)
    without, _ = layer(anchors, sizes, gt_boxes, reached_only, seed)
    np.testing.assert_array_equal(labels, without)
    # The references make every anchor positive whose IoU equals the best IoU, 0.
    assert stored[f"{case}_counts"][0] == np.count_nonzero(inside)
    positive = labels[0].numpy()[inside] == 1
    assert positive.any() and np.all(iou[positive].max(axis=1) > 0)


@pytest.mark.parametrize(("mode", "case"), in_modes(TV, eager_and_xla="many"))
def test_targets_equal_torchvision(golden, layer_in, mode, case):
    stored = golden(TV)
    gt_boxes = np.pad(stored[f"{case}_gt_boxes"][:, YX], [(0, 1), (0, 0)])
    gt_labels = np.zeros([1, len(gt_boxes)], np.int32)
    gt_labels[0, -1] = -1
    layer = AnchorTargetLayer({"allowed_border": None, "num_samples": EVERY_ANCHOR})
    labels, deltas = layer_in(mode, layer)(
        whole(stored["anchors"][:, YX]),
        stored["image_hw"][np.newaxis].astype(np.float32),
        gt_boxes[np.newaxis],
        gt_labels,
        SEED,
    )
    stored.compare("labels", f"{case}_labels", labels[0])
    positive, name = labels[0].numpy() == 1, f"{case}_targets"
    assert (name in stored) == positive.any()
    if name in stored:
        found, expected = deltas[0].numpy()[positive], stored[name][:, YX][positive]
        stored.compare("deltas", name, found, expected, atol=1e-5)


def test_the_deltas_beside_an_unreached_box_are_those_of_the_references(golden):
    stored, case = golden(TFR), case_named(TFR, UNREACHED)
    layer = AnchorTargetLayer(
        {"num_samples": EVERY_ANCHOR}, conventions={"plus_one": True}
    )
    compare_tfr_deltas(stored, case, layer(*tfr_inputs(stored, case)).deltas[0])
    stored, case = golden(CHN), case_named(CHN, UNREACHED)
    layer = AnchorTargetLayer({"num_samples": EVERY_ANCHOR})
    deltas = layer(*chn_inputs(stored, case)).deltas[0]
    stored.compare("deltas", f"{case}_loc", deltas, atol=1e-5)


@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
def test_anchors_in_a_crowd_are_neither_background_nor_its_objects(layer_in, mode):
    anchors = np.float32(
        [
            [10, 10, 30, 30],  # the object itself
            [50, 50, 90, 90],  # the crowd itself
            [55, 55, 65, 65],  # within it
            [45, 55, 52, 62],  # two sevenths of it within it
            [10, 60, 20, 70],  # apart
        ]
    )
    gt_boxes = np.float32([[[50, 50, 90, 90], [10, 10, 30, 30], [0, 0, 0, 0]]])
    labels, crowd = np.int32([[3, 7, -1]]), np.array([[True, False, False]])
    layer = layer_in(mode, AnchorTargetLayer())
    inputs = whole(anchors), np.float32([[100, 100]]), gt_boxes, labels, SEED
    found, deltas = layer(*inputs, crowd)
    np.testing.assert_array_equal(found[0], [1, -1, -1, 0, 0])
    np.testing.assert_allclose(deltas[0, 0], np.zeros(4), atol=1e-6)
    np.testing.assert_array_equal(layer(*inputs)[0][0], [1, 1, 0, 0, 0])
    nowhere = layer(*inputs, np.zeros_like(crowd))
    np.testing.assert_array_equal(nowhere.labels, layer(*inputs).labels)


def test_an_object_in_a_crowd_is_learned_and_an_image_with_a_crowd_alone_has_none():
    anchors = np.float32([[55, 55, 65, 65], [70, 70, 80, 80], [10, 10, 20, 20]])
    gt_boxes = np.float32([[[50, 50, 90, 90], [55, 55, 65, 65]]])
    inputs = whole(anchors), np.float32([[100, 100]]), gt_boxes
    crowd = np.array([[True, False]])
    labels, _ = AnchorTargetLayer()(*inputs, np.int32([[0, 1]]), SEED, crowd)
    np.testing.assert_array_equal(labels[0], [1, -1, 0])
    labels, deltas = AnchorTargetLayer()(*inputs, np.int32([[0, -1]]), SEED, crowd)
    np.testing.assert_array_equal(labels[0], [-1, -1, 0])
    assert not np.any(deltas)
