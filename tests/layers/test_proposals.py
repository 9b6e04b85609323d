import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.layers import AnchorGrid, ProposalLayer, RPNHead
from tf_frcnn.layers.rpn_head import RPNMaps
from tf_frcnn.structures import RPNOutputs

YX = [1, 0, 3, 2]  # x, y, x, y <-> y, x, y, x, of corners and of deltas
MODES_AND_CASES = [
    *(
        ("eager", case, phase)
        for case in ("case0", "case1")
        for phase in ("train", "test")
    ),
    *((mode, "case1", "test") for mode in ("graph", "xla")),
]
ONE_TO_ONE = np.float32([[1, 1]])


def rpn_outputs(scores, deltas=None):
    """Returns the outputs of one image for scores of N anchors."""
    scores = np.float32(scores)[np.newaxis]
    if deltas is None:
        deltas = np.zeros([*scores.shape, 4])
    logits = np.stack([1 - scores, scores], axis=-1)
    return RPNOutputs(*map(tf.constant, (logits, scores, np.float32(deltas))))


def propose(layer, scores, anchors, *, size=(100, 100), scale=1, deltas=None, **call):
    """Returns the valid proposals and their scores of one image."""
    proposals = layer(
        rpn_outputs(scores, deltas),
        np.float32(anchors),
        np.ones([1, len(anchors)], bool),
        np.float32([size]),
        np.float32([[scale, scale]]),
        **call,
    )
    return valid_rows(proposals)


def valid_rows(proposals):
    """Returns boxes and scores of the valid rows; checks that the rest is zero."""
    valid = proposals.valid[0].numpy()
    assert np.all(np.diff(valid.astype(int)) <= 0)
    boxes, scores = proposals.boxes[0].numpy(), proposals.scores[0].numpy()
    assert not boxes[~valid].any() and not scores[~valid].any()
    return boxes[valid], scores[valid]


def in_a_row(count):
    """Returns boxes of 10 x 10 that do not touch."""
    return np.float32([[0, 20 * n, 10, 20 * n + 10] for n in range(count)])


def tfr_inputs(stored, case):
    """Returns the layer's inputs for a case of tf-faster-rcnn."""
    prob, deltas = stored[f"{case}_rpn_cls_prob"], stored[f"{case}_rpn_bbox_pred"]
    deltas = deltas.astype(np.float32).reshape(*prob.shape[:3], 9, 4)[..., YX]
    maps = RPNMaps(prob, prob, deltas.reshape(*prob.shape[:3], 36))
    sizes = stored[f"{case}_im_info"][np.newaxis, :2]
    rpn = RPNHead(9).flatten(RPNMaps(*map(tf.constant, maps)))
    anchors, _ = AnchorGrid()(prob, sizes)
    return rpn, anchors, np.ones(rpn.scores.shape, bool), sizes, ONE_TO_ONE


def test_proposals_are_decoded_clipped_and_sorted():
    anchors = [[10, 10, 30, 50], [60, 60, 80, 80], [80, 80, 110, 110]]
    deltas = np.zeros([1, 3, 4])
    deltas[0, 0] = [0.5, -0.25, 0, np.log(0.5)]
    boxes, scores = propose(ProposalLayer(), [0.2, 0.9, 0.5], anchors, deltas=deltas)
    # Centre (20, 30) moves to (30, 20); the width of 40 becomes 20.
    np.testing.assert_allclose(
        boxes, [[60, 60, 80, 80], [80, 80, 100, 100], [20, 10, 40, 30]], atol=1e-4
    )
    np.testing.assert_array_equal(scores, np.float32([0.9, 0.5, 0.2]))


def test_the_lower_of_two_overlapping_proposals_goes():
    anchors = [[0, 0, 10, 10], [0, 0, 10, 8], [50, 50, 60, 60]]
    boxes, _ = propose(ProposalLayer(), [0.5, 0.9, 0.1], anchors)
    np.testing.assert_allclose(boxes, [[0, 0, 10, 8], [50, 50, 60, 60]])
    boxes, _ = propose(ProposalLayer(nms_iou=0.81), [0.5, 0.9, 0.1], anchors)
    np.testing.assert_allclose(boxes[:, 3], [8, 10, 60])


def test_training_and_inference_have_their_own_counts():
    layer = ProposalLayer(train_counts=(4, 3), test_counts=(2, 5))
    scores = [0.1, 0.6, 0.3, 0.5, 0.2]
    anchors = in_a_row(5)
    _, train_scores = propose(layer, scores, anchors, training=True)
    _, test_scores = propose(layer, scores, anchors)
    np.testing.assert_array_equal(train_scores, np.float32([0.6, 0.5, 0.3]))
    np.testing.assert_array_equal(test_scores, np.float32([0.6, 0.5]))


def test_boxes_are_counted_before_suppression_too():
    # The second best is suppressed, but it has taken one of the two places.
    layer = ProposalLayer(test_counts=(2, 2))
    anchors = [[0, 0, 10, 10], [0, 0, 10, 10], [0, 20, 10, 30]]
    _, scores = propose(layer, [0.9, 0.8, 0.7], anchors)
    np.testing.assert_array_equal(scores, np.float32([0.9]))


def test_the_smallest_side_is_in_pixels_of_the_file():
    anchors = [[0, 0, 20, 20], [0, 30, 19, 50], [0, 60, 20, 79], [40, 0, 60, 30]]
    scores = [0.9, 0.8, 0.7, 0.6]
    boxes, _ = propose(ProposalLayer(min_size=10), scores, anchors, scale=2)
    np.testing.assert_allclose(boxes, [[0, 0, 20, 20], [40, 0, 60, 30]])
    boxes, _ = propose(ProposalLayer(min_size=10), scores, anchors)
    assert len(boxes) == 4


def test_the_smallest_height_and_width_follow_the_scale_of_their_axis():
    anchors = np.float32([[0, 0, 20, 30], [40, 0, 70, 20]])
    proposals = ProposalLayer(min_size=10)(
        rpn_outputs([0.9, 0.8]),
        anchors,
        np.ones([1, 2], bool),
        np.float32([[100, 100]]),
        np.float32([[2, 3]]),
    )
    np.testing.assert_allclose(valid_rows(proposals)[0], anchors[:1])


def test_small_boxes_go_before_the_best_are_counted():
    anchors = [[0, 0, 3, 3], [0, 20, 10, 30], [0, 40, 10, 50]]
    layer = ProposalLayer(test_counts=(2, 2), min_size=5)
    _, scores = propose(layer, [0.9, 0.8, 0.7], anchors)
    np.testing.assert_array_equal(scores, np.float32([0.8, 0.7]))


def test_plus_one_clips_to_the_last_pixel():
    anchors = [[80, 80, 120, 130]]
    boxes, _ = propose(ProposalLayer(plus_one=True), [0.9], anchors)
    np.testing.assert_allclose(boxes, [[80, 80, 99, 99]], atol=1e-4)
    boxes, _ = propose(ProposalLayer(), [0.9], anchors)
    np.testing.assert_allclose(boxes, [[80, 80, 100, 100]], atol=1e-4)


def test_an_anchor_that_is_not_valid_is_no_proposal_and_suppresses_none():
    anchors = np.float32([[0, 0, 10, 10], [0, 0, 10, 10], [0, 20, 10, 30]])
    proposals = ProposalLayer(test_counts=(3, 3))(
        rpn_outputs([0.9, 0.8, 0.7]),
        anchors,
        np.array([[False, True, True]]),
        np.float32([[100, 100]]),
        ONE_TO_ONE,
    )
    boxes, scores = valid_rows(proposals)
    np.testing.assert_allclose(boxes, anchors[1:])
    np.testing.assert_array_equal(scores, np.float32([0.8, 0.7]))


def test_a_score_of_zero_is_still_a_proposal():
    boxes, scores = propose(ProposalLayer(), [0.0, 0.5], in_a_row(2))
    np.testing.assert_allclose(boxes, in_a_row(2)[::-1])
    np.testing.assert_array_equal(scores, [0.5, 0.0])


@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
def test_there_may_be_fewer_anchors_than_places(layer_in, mode):
    layer = ProposalLayer(test_counts=(9, 6))
    boxes, scores = propose(layer_in(mode, layer), [0.1, 0.6, 0.3], in_a_row(3))
    np.testing.assert_allclose(boxes, in_a_row(3)[[1, 2, 0]], atol=1e-4)
    np.testing.assert_array_equal(scores, np.float32([0.6, 0.3, 0.1]))


def test_no_gradient_flows_through_the_proposals():
    scores, deltas = tf.constant([[0.9, 0.5]]), tf.zeros([1, 2, 4])
    logits = tf.stack([1 - scores, scores], axis=-1)
    with tf.GradientTape() as tape:
        tape.watch([scores, deltas])
        proposals = ProposalLayer()(
            RPNOutputs(logits, scores, deltas),
            in_a_row(2),
            np.ones([1, 2], bool),
            np.float32([[100, 100]]),
            ONE_TO_ONE,
        )
        total = tf.reduce_sum(proposals.boxes) + tf.reduce_sum(proposals.scores)
    assert tape.gradient(total, [scores, deltas]) == [None, None]


@pytest.mark.parametrize(("mode", "case", "phase"), MODES_AND_CASES)
@pytest.mark.parametrize("in_graph", [False, True])
def test_proposals_equal_tf_faster_rcnn(golden, layer_in, mode, case, phase, in_graph):
    stored = golden("proposals_tf_faster_rcnn")
    inputs = tfr_inputs(stored, case)
    layer = ProposalLayer(plus_one=True)
    name = f"{case}_{phase}"
    if in_graph:
        name += "_graph"
        everything = inputs[0].scores.shape[1]
        layer = ProposalLayer(
            train_counts=(everything, 2000),
            test_counts=(everything, 300),
            plus_one=True,
            nms_plus_one=False,
        )
    boxes, scores = valid_rows(
        layer_in(mode, layer)(*inputs, training=phase == "train")
    )
    np.testing.assert_array_equal(scores, stored[f"{name}_scores"][:, 0])
    expected = stored[f"{name}_rois"][:, 1:][:, YX]
    np.testing.assert_allclose(boxes, expected, rtol=0, atol=5e-4)


@pytest.mark.parametrize(("mode", "case", "phase"), MODES_AND_CASES)
def test_proposals_equal_chenyuntc(golden, layer_in, mode, case, phase):
    stored = golden("proposals_chenyuntc")
    height, width = (int(stored[f"{case}_{key}"]) for key in ("height", "width"))
    size = stored[f"{case}_image_hw"]
    grid = AnchorGrid(style="centred")
    anchors, _ = grid(np.zeros([1, height, width, 1]), np.float32([size]))
    boxes, scores = propose(
        layer_in(mode, ProposalLayer(min_size=16)),
        stored[f"{case}_score"],
        anchors,
        size=size,
        scale=stored[f"{case}_scale"],
        deltas=stored[f"{case}_loc"][np.newaxis],
        training=phase == "train",
    )
    expected = stored[f"{case}_{phase}_rois"]
    np.testing.assert_allclose(boxes, expected, rtol=0, atol=5e-4)
    assert np.all(np.diff(scores) < 0)


def test_the_batch_mate_of_a_reference_case_changes_nothing(golden):
    stored = golden("proposals_tf_faster_rcnn")
    rpn, anchors, valid, sizes, scales = tfr_inputs(stored, "case1")
    rng = np.random.default_rng(0)
    both = RPNOutputs(
        *(tf.concat([rng.permuted(part, axis=1), part], axis=0) for part in rpn)
    )
    proposals = ProposalLayer(plus_one=True)(
        both,
        anchors,
        np.concatenate([valid & (rng.uniform(size=valid.shape) < 0.5), valid]),
        np.concatenate([sizes - 40, sizes]),
        np.tile(scales, [2, 1]),
    )
    second = type(proposals)(*(part[1:] for part in proposals))
    boxes, scores = valid_rows(second)
    np.testing.assert_array_equal(scores, stored["case1_test_scores"][:, 0])
    expected = stored["case1_test_rois"][:, 1:][:, YX]
    np.testing.assert_allclose(boxes, expected, rtol=0, atol=5e-4)
