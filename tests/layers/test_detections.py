import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.golden import load_golden
from tf_frcnn.layers import DetectionLayer
from tf_frcnn.ops.box_coder import encode_boxes
from tf_frcnn.structures import Proposals

YX = [1, 0, 3, 2]  # x, y, x, y <-> y, x, y, x, of corners and of deltas
LABELS, SCORES, PIXELS = (f"detections, {of}" for of in ("labels", "scores", "pixels"))
SIZES = np.float32([[100, 100]])
# Two boxes of IoU 0.8 and one apart.
BOXES = [[10, 10, 30, 30], [10, 10, 30, 26], [60, 60, 80, 80]]


def detect(layer, boxes, probabilities, deltas=None, *, valid=None, sizes=SIZES):
    """Returns the valid detections of one image: boxes, scores and labels."""
    boxes = np.float32(boxes)[np.newaxis]
    probabilities = np.float32(probabilities)[np.newaxis]
    if deltas is None:
        deltas = np.zeros([*probabilities.shape[1:], 4])
    if valid is None:
        valid = np.ones(boxes.shape[1], bool)
    with np.errstate(divide="ignore"):
        logits = np.log(probabilities)
    scores, levels = probabilities[..., 0], np.zeros(boxes.shape[:2], np.int32)
    proposals = Proposals(boxes, scores, np.array(valid)[np.newaxis], levels)
    return valid_rows(layer(proposals, logits, np.float32(deltas)[np.newaxis], sizes))


def valid_rows(detections):
    """Returns the valid rows of one image; checks the padding and the order."""
    boxes, scores, labels, valid = (values[0].numpy() for values in detections)
    assert np.all(np.diff(valid.astype(int)) <= 0)
    assert np.all(np.diff(scores) <= 0)
    assert not boxes[~valid].any() and not scores[~valid].any()
    assert np.all(labels[~valid] == -1)
    return boxes[valid], scores[valid], labels[valid]


def class_by_class(boxes, scores, labels):
    """Returns [D, 6] rows of label, box and score, sorted as the references do."""
    rows = np.concatenate([labels[:, np.newaxis], boxes, scores[:, np.newaxis]], 1)
    return rows[np.lexsort([-scores, labels])]


def test_detections_of_all_classes_come_by_falling_score():
    probabilities = [[0.1, 0.6, 0.3], [0.4, 0.1, 0.5], [0.5, 0.3, 0.2]]
    boxes, scores, labels = detect(DetectionLayer(), BOXES, probabilities)
    # Class 0: 0.6 suppresses 0.1; class 1: 0.5 suppresses 0.3.
    np.testing.assert_allclose(scores, [0.6, 0.5, 0.3, 0.2], rtol=1e-6)
    np.testing.assert_array_equal(labels, [0, 1, 0, 1])
    np.testing.assert_allclose(boxes, np.float32(BOXES)[[0, 1, 2, 2]], atol=1e-4)


def test_a_class_may_have_a_threshold_of_its_own():
    probabilities = [[0.1, 0.6, 0.3], [0.4, 0.1, 0.5], [0.5, 0.3, 0.2]]
    own = {"class_thresholds": [0.29, 0.2], "score_threshold": 0.25}
    _, scores, labels = detect(DetectionLayer(own), BOXES, probabilities)
    # Of class 0 0.6 suppresses 0.1; of class 1 0.2 is not above 0.25.
    np.testing.assert_allclose(scores, [0.6, 0.5, 0.3], rtol=1e-6)
    np.testing.assert_array_equal(labels, [0, 1, 0])
    own = {"class_thresholds": [0.7, 0.0]}
    _, scores, labels = detect(DetectionLayer(own), BOXES, probabilities)
    np.testing.assert_array_equal(labels, [1, 1])


def test_boxes_of_all_classes_may_suppress_each_other():
    probabilities = [[0.1, 0.6, 0.3], [0.4, 0.1, 0.5], [0.5, 0.2, 0.3]]
    layer = DetectionLayer({"class_agnostic_nms": True})
    boxes, scores, labels = detect(layer, BOXES, probabilities)
    # One is left of each place, and it keeps its class.
    np.testing.assert_allclose(scores, [0.6, 0.3], rtol=1e-6)
    np.testing.assert_array_equal(labels, [0, 1])
    np.testing.assert_allclose(boxes, np.float32(BOXES)[[0, 2]], atol=1e-4)


def test_soft_suppression_lowers_the_score_of_a_neighbour():
    # The second box covers nine tenths of the first, the third half of it.
    boxes = [[0, 0, 20, 20], [0, 0, 18, 20], [0, 0, 10, 20], [30, 30, 40, 40]]
    probabilities = [[0.1, 0.9], [0.2, 0.8], [0.3, 0.7], [0.4, 0.6]]
    settings = {"suppression": "soft", "nms_iou": 0.4, "score_threshold": 0.03}
    # 0.7 falls by a half; 0.8 by nine tenths, and by 10 / 18.
    lowered = [0.9, 0.6, 0.7 * 0.5, 0.8 * 0.1 * 8 / 18]
    _, scores, _ = detect(DetectionLayer(settings), boxes, probabilities)
    np.testing.assert_allclose(scores, lowered, rtol=1e-4)
    hard = DetectionLayer({**settings, "suppression": "hard"})
    np.testing.assert_allclose(detect(hard, boxes, probabilities)[1], [0.9, 0.6], 1e-5)
    # What is left must exceed the thresholds.
    for own, count in (
        ({"score_threshold": 0.04}, 3),
        ({"class_thresholds": [0.4]}, 2),
    ):
        _, scores, _ = detect(DetectionLayer(settings | own), boxes, probabilities)
        np.testing.assert_allclose(scores, lowered[:count], rtol=1e-4)


def test_a_detection_scores_above_the_threshold_and_not_at_it():
    # Two logits that are equal: both probabilities are exactly 0.5.
    probabilities = [[1, 1], [0, 1]]
    layer = DetectionLayer({"score_threshold": 0.5})
    _, scores, _ = detect(layer, BOXES[1:], probabilities)
    np.testing.assert_array_equal(scores, [1.0])


def test_only_the_best_of_all_classes_are_kept():
    probabilities = [[0.0, 0.7, 0.3], [0.4, 0.6, 0.0], [0.1, 0.4, 0.5]]
    apart = [[0, 0, 10, 10], [0, 20, 10, 30], [0, 40, 10, 50]]
    layer = DetectionLayer({"max_per_image": 3})
    _, scores, labels = detect(layer, apart, probabilities)
    np.testing.assert_allclose(scores, [0.7, 0.6, 0.5], rtol=1e-6)
    np.testing.assert_array_equal(labels, [0, 0, 1])


@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
def test_of_equal_scores_only_as_many_are_kept_as_there_are_places(layer_in, mode):
    apart = [[0, 0, 10, 10], [0, 20, 10, 30], [0, 40, 10, 50]]
    layer = layer_in(mode, DetectionLayer({"max_per_image": 2}))
    boxes, scores, _ = detect(layer, apart, [[1, 1], [0, 1], [1, 1]])
    np.testing.assert_array_equal(scores, [1.0, 0.5])
    np.testing.assert_allclose(boxes, np.float32(apart)[[1, 0]], atol=1e-4)


def test_each_class_has_its_own_box():
    deltas = np.zeros([1, 3, 4])
    deltas[0, 1], deltas[0, 2] = [5, 0, 0, 0], [0, -5, 0, 5 * np.log(0.5)]
    boxes, _, labels = detect(DetectionLayer(), BOXES[:1], [[0, 0.6, 0.4]], deltas)
    np.testing.assert_array_equal(labels, [0, 1])
    # Half a height down; half a width to the left and half as wide.
    np.testing.assert_allclose(boxes, [[20, 10, 40, 30], [10, 5, 30, 15]], atol=1e-4)


def test_class_agnostic_deltas_serve_every_class():
    deltas = np.float32([[[5, 0, 0, 0]]])
    boxes, _, labels = detect(DetectionLayer(), BOXES[:1], [[0, 0.6, 0.4]], deltas)
    np.testing.assert_array_equal(labels, [0, 1])
    np.testing.assert_allclose(boxes, [[20, 10, 40, 30]] * 2, atol=1e-4)


@pytest.mark.parametrize(("plus_one", "last"), [(False, 100), (True, 99)])
def test_detections_are_clipped_to_the_image(plus_one, last):
    layer = DetectionLayer(conventions={"plus_one": plus_one})
    boxes, _, _ = detect(layer, [[-5, 90, 50, 120]], [[0, 1]])
    assert boxes[0, 0] == 0 and boxes[0, 3] == last


def test_detections_may_leave_the_image():
    layer = DetectionLayer(conventions={"clip": "none"})
    boxes, _, _ = detect(layer, [[-5, 90, 50, 120]], [[0, 1]])
    np.testing.assert_allclose(boxes, [[-5, 90, 50, 120]], atol=1e-4)


def test_of_a_box_outside_only_the_corner_of_that_side_is_moved():
    layer = DetectionLayer(
        {"score_threshold": 0.0}, conventions={"clip": "own_side", "plus_one": True}
    )
    # The last row of pixels is 99; the first box begins behind it by less than a
    # pixel, the second by more.
    boxes = [[99.5, 10, 99.5, 30], [120, 10, 130, 30], [-5, 40, 50, 60]]
    probabilities = [[0.2, 0.8], [0.1, 0.9], [0.3, 0.7]]
    found, scores, _ = detect(layer, boxes, probabilities)
    np.testing.assert_allclose(scores, [0.8, 0.7], rtol=1e-6)
    np.testing.assert_allclose(found[0, [0, 2]], [99.5, 99], atol=1e-3)
    np.testing.assert_allclose(found[1, [0, 2]], [0, 51], atol=1e-3)


def test_unknown_clips_are_refused():
    with pytest.raises(ValueError, match="clip = 'both' must be one of"):
        DetectionLayer(conventions={"clip": "both"})


def test_the_border_decides_what_overlaps_only_where_boxes_end_there():
    # Within the image the first two are one box; as they are, their IoU is 1 / 3.
    boxes = [[0, 60, 20, 100], [0, 60, 20, 180], [40, 0, 60, 20]]
    probabilities = [[0.2, 0.8], [0.1, 0.9], [0.4, 0.6]]
    _, clipped, _ = detect(DetectionLayer({"nms_iou": 0.5}), boxes, probabilities)
    _, whole, _ = detect(
        DetectionLayer({"nms_iou": 0.5}, conventions={"clip": "none"}),
        boxes,
        probabilities,
    )
    np.testing.assert_allclose(clipped, [0.9, 0.6], rtol=1e-6)
    np.testing.assert_allclose(whole, [0.9, 0.8, 0.6], rtol=1e-6)


@pytest.mark.parametrize("places", [2, 3, 4, 6, 7, 20])
def test_places_beyond_all_boxes_of_all_classes_stay_empty(places):
    apart = [[0, 0, 10, 10], [0, 20, 10, 30], [0, 40, 10, 50]]
    probabilities = [[0.1, 0.6, 0.3], [0.0, 0.2, 0.8], [0.5, 0.4, 0.1]]
    layer = DetectionLayer({"max_per_image": places})
    boxes, scores, labels = detect(layer, apart, probabilities)
    best = np.float32([0.8, 0.6, 0.4, 0.3, 0.2, 0.1])[:places]
    np.testing.assert_allclose(scores, best, rtol=1e-6)
    np.testing.assert_array_equal(labels, [1, 0, 0, 1, 0, 1][:places])
    of_box = np.array([1, 0, 2, 0, 1, 2])[:places]
    np.testing.assert_allclose(boxes, np.float32(apart)[of_box], atol=1e-4)


def test_padded_proposals_are_never_detected():
    probabilities = [[0, 1], [0.2, 0.8], [0.3, 0.7]]
    boxes, scores, _ = detect(
        DetectionLayer(), BOXES, probabilities, valid=[False, True, False]
    )
    np.testing.assert_allclose(scores, [0.8], rtol=1e-6)
    np.testing.assert_allclose(boxes, BOXES[1:2], atol=1e-4)


def test_an_image_without_proposals_has_no_detections():
    probabilities = [[0, 1], [0.2, 0.8], [0.3, 0.7]]
    boxes, scores, labels = detect(
        DetectionLayer(), BOXES, probabilities, valid=[False] * 3
    )
    assert len(boxes) == len(scores) == len(labels) == 0


@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
def test_detections_equal_tf_faster_rcnn(golden, layer_in, mode):
    stored = golden("nms")
    rois = stored["tfr_rois"][:, 1:][:, YX] / np.float32(stored["tfr_im_scale"])
    num_classes = stored["tfr_cls_prob"].shape[1]
    deltas = stored["tfr_bbox_pred"].astype(np.float32)
    deltas = deltas.reshape(-1, num_classes, 4)[..., YX]
    layer = DetectionLayer(
        {"score_threshold": 0.0},
        roi={"delta_stds": (1.0, 1.0, 1.0, 1.0)},
        conventions={"plus_one": True},
    )
    boxes, scores, labels = detect(
        layer_in(mode, layer),
        rois,
        stored["tfr_cls_prob"],
        deltas,
        sizes=stored["tfr_image_hw"][np.newaxis].astype(np.float32),
    )
    rows = class_by_class(boxes, scores, labels)
    name, expected = "tfr_detections", stored["tfr_detections"]
    stored.compare(LABELS, name, rows[:, 0] + 1, expected[:, 0])
    stored.compare(SCORES, name, rows[:, 5], expected[:, 5], atol=1e-6)
    stored.compare(PIXELS, name, rows[:, 1:5], expected[:, 1:5][:, YX], atol=5e-4)


@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
def test_detections_equal_chenyuntc(golden, layer_in, mode):
    stored = golden("nms")
    # The reference's boxes are decoded and not clipped: code them again for the layer,
    # moved to where none crosses the edge.
    decoded = stored["chn_cls_bbox"].reshape(*stored["chn_prob"].shape, 4) + 128
    proposals = np.tile(np.float32([100, 100, 300, 300]), [len(decoded), 1])
    deltas = encode_boxes(decoded, proposals[:, np.newaxis])
    layer = DetectionLayer(
        {"max_per_image": decoded[..., 0].size},
        roi={"delta_stds": (1.0, 1.0, 1.0, 1.0)},
    )
    boxes, scores, labels = detect(
        layer_in(mode, layer),
        proposals,
        stored["chn_prob"],
        deltas,
        sizes=np.float32([[1e4, 1e4]]),
    )
    rows = class_by_class(boxes, scores, labels)
    stored.compare(LABELS, "chn_label", rows[:, 0])
    stored.compare(SCORES, "chn_score", rows[:, 5], atol=1e-6)
    stored.compare(PIXELS, "chn_bbox", rows[:, 1:5] - 128, atol=5e-4)


def test_detections_that_are_too_small_go():
    boxes = [[0, 0, 5, 20], [30, 0, 50, 5], [60, 0, 80, 20]]
    layer = DetectionLayer({"min_size": 10.0})
    found, _, _ = detect(layer, boxes, [[0, 1]] * 3)
    np.testing.assert_allclose(found, boxes[2:], atol=1e-4)


def test_the_growth_of_a_detection_may_be_bounded():
    deltas = np.zeros([1, 2, 4])
    deltas[..., 2] = 5 * 3  # log of the height, in units of 0.2
    layer = DetectionLayer(conventions={"max_log_scale": float(np.log(2))})
    boxes, _, _ = detect(layer, [[40, 40, 50, 50]], [[0, 1]], deltas)
    np.testing.assert_allclose(boxes, [[35, 40, 55, 50]], atol=1e-4)


@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
@pytest.mark.parametrize("image", range(len(load_golden("nms")["tv_image_shapes"])))
def test_detections_equal_torchvision(golden, layer_in, mode, image):
    stored = golden("nms")
    proposals = stored[f"tv_proposals{image}"][:, YX]
    first = sum(len(stored[f"tv_proposals{before}"]) for before in range(image))
    rows = slice(first, first + len(proposals))
    logits = stored["tv_logits"][rows].astype(np.float64)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    deltas = stored["tv_deltas"][rows].astype(np.float32)
    deltas = deltas.reshape(*logits.shape, 4)[..., YX]
    layer = DetectionLayer(
        {"nms_iou": 0.5, "min_size": 0.01},
        conventions={"max_log_scale": float(np.log(1000 / 16))},
    )
    boxes, scores, labels = detect(
        layer_in(mode, layer),
        proposals,
        probabilities,
        deltas,
        sizes=stored["tv_image_shapes"][image : image + 1].astype(np.float32),
    )
    stored.compare(LABELS, f"tv_labels{image}", labels + 1)
    stored.compare(SCORES, f"tv_scores{image}", scores, atol=1e-6)
    expected = stored[f"tv_boxes{image}"][:, YX]
    stored.compare(PIXELS, f"tv_boxes{image}", boxes, expected, atol=5e-4)


def test_unrolled_classes_need_no_loop_and_give_the_same():
    probabilities = np.float32([[0.1, 0.3, 0.6], [0.3, 0.5, 0.2], [0.1, 0.2, 0.7]])
    layer = DetectionLayer()
    expected = detect(layer, BOXES, probabilities)

    def kinds():
        proposals = Proposals(
            tf.constant([BOXES], tf.float32),
            tf.ones([1, 3]),
            tf.ones([1, 3], tf.bool),
            tf.zeros([1, 3], tf.int32),
        )
        deltas = tf.zeros([1, 3, 1, 4])
        graph = tf.function(lambda logits: layer(proposals, logits, deltas, SIZES))
        graph = graph.get_concrete_function(np.log(probabilities)[np.newaxis]).graph
        return {operation.type for operation in graph.get_operations()}

    loops = {"While", "StatelessWhile"}
    assert loops & kinds()
    layer.unroll = True
    assert not loops & kinds()
    found = detect(layer, BOXES, probabilities)
    assert len(found[1]) == 4
    for own, wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(own, wanted)
