import numpy as np
import pytest
import tensorflow as tf

from tests.helpers.golden import golden_cases
from tf_frcnn.layers import AnchorGrid, ProposalLayer, RPNHead
from tf_frcnn.layers.rpn_head import RPNMaps
from tf_frcnn.structures import Anchors, RPNOutputs

TFR, CHN = "proposals_tf_faster_rcnn", "proposals_chenyuntc"
YX = [1, 0, 3, 2]  # x, y, x, y <-> y, x, y, x, of corners and of deltas
ONE_TO_ONE = np.float32([[1, 1]])


def in_modes(file):
    """Returns both phases of each case in graph mode, one in the other modes."""
    cases = golden_cases(file)
    phases = [("graph", case, phase) for case in cases for phase in ("train", "test")]
    return [*phases, ("eager", cases[-1], "test"), ("xla", cases[-1], "test")]


def rpn_outputs(scores, deltas=None):
    """Returns the outputs of one image for scores of N anchors."""
    scores = np.float32(scores)[np.newaxis]
    if deltas is None:
        deltas = np.zeros([*scores.shape, 4])
    logits = np.stack([1 - scores, scores], axis=-1)
    return RPNOutputs(*map(tf.constant, (logits, scores, np.float32(deltas))))


def whole(boxes, valid=None):
    """Returns boxes [N, 4] as the anchors of one level."""
    valid = np.ones(len(boxes), bool) if valid is None else np.array(valid)
    return Anchors(np.float32(boxes), valid[np.newaxis], (np.array(len(boxes)),))


def propose(layer, scores, anchors, *, size=(100, 100), scale=1, deltas=None, **call):
    """Returns the valid proposals and their scores of one image."""
    proposals = layer(
        rpn_outputs(scores, deltas),
        whole(anchors),
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
    num_anchors = prob.shape[-1] // 2
    by_anchor = deltas.astype(np.float32).reshape(*prob.shape[:3], num_anchors, 4)
    maps = RPNMaps(prob, prob, by_anchor[..., YX].reshape(deltas.shape))
    sizes = stored[f"{case}_im_info"][np.newaxis, :2]
    rpn = RPNHead(num_anchors).flatten([RPNMaps(*map(tf.constant, maps))])
    anchors = AnchorGrid()([prob], sizes, np.int32([0, 0]))
    everywhere = tf.ones(rpn.scores.shape, tf.bool)
    return rpn, anchors._replace(valid=everywhere), sizes, ONE_TO_ONE


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
    boxes, _ = propose(ProposalLayer({"nms_iou": 0.81}), [0.5, 0.9, 0.1], anchors)
    np.testing.assert_allclose(boxes[:, 3], [8, 10, 60])


def test_training_and_inference_have_their_own_counts():
    layer = ProposalLayer(
        {"train_pre_nms": 4, "train_post_nms": 3, "test_pre_nms": 2, "test_post_nms": 2}
    )
    scores = [0.1, 0.6, 0.3, 0.5, 0.2]
    anchors = in_a_row(5)
    _, train_scores = propose(layer, scores, anchors, training=True)
    _, test_scores = propose(layer, scores, anchors)
    np.testing.assert_array_equal(train_scores, np.float32([0.6, 0.5, 0.3]))
    np.testing.assert_array_equal(test_scores, np.float32([0.6, 0.5]))


def test_boxes_are_counted_before_suppression_too():
    # The second best is suppressed, but it has taken one of the two places.
    layer = ProposalLayer({"test_pre_nms": 2, "test_post_nms": 2})
    anchors = [[0, 0, 10, 10], [0, 0, 10, 10], [0, 20, 10, 30]]
    _, scores = propose(layer, [0.9, 0.8, 0.7], anchors)
    np.testing.assert_array_equal(scores, np.float32([0.9]))


def test_the_smallest_side_is_in_pixels_of_the_file():
    anchors = [[0, 0, 20, 20], [0, 30, 19, 50], [0, 60, 20, 79], [40, 0, 60, 30]]
    scores = [0.9, 0.8, 0.7, 0.6]
    boxes, _ = propose(ProposalLayer({"min_size": 10}), scores, anchors, scale=2)
    np.testing.assert_allclose(boxes, [[0, 0, 20, 20], [40, 0, 60, 30]])
    boxes, _ = propose(ProposalLayer({"min_size": 10}), scores, anchors)
    assert len(boxes) == 4


def test_the_smallest_side_may_be_in_pixels_of_the_network():
    anchors = [[0, 0, 20, 20], [0, 30, 10, 50], [0, 60, 9, 80], [40, 0, 60, 9]]
    layer = ProposalLayer({"min_size": 10}, conventions={"min_size_in": "network"})
    boxes, _ = propose(layer, [0.9, 0.8, 0.7, 0.6], anchors, scale=2)
    np.testing.assert_allclose(boxes, anchors[:2])
    with pytest.raises(ValueError, match="min_size_in = 'canvas'"):
        ProposalLayer(conventions={"min_size_in": "canvas"})


def test_the_smallest_height_and_width_follow_the_scale_of_their_axis():
    anchors = np.float32([[0, 0, 20, 30], [40, 0, 70, 20]])
    proposals = ProposalLayer({"min_size": 10})(
        rpn_outputs([0.9, 0.8]),
        whole(anchors),
        np.float32([[100, 100]]),
        np.float32([[2, 3]]),
    )
    np.testing.assert_allclose(valid_rows(proposals)[0], anchors[:1])


def test_small_boxes_go_before_the_best_are_counted():
    anchors = [[0, 0, 3, 3], [0, 20, 10, 30], [0, 40, 10, 50]]
    layer = ProposalLayer({"test_pre_nms": 2, "test_post_nms": 2, "min_size": 5})
    _, scores = propose(layer, [0.9, 0.8, 0.7], anchors)
    np.testing.assert_array_equal(scores, np.float32([0.8, 0.7]))


def test_probabilities_that_round_to_one_keep_the_order_of_their_logits():
    logits = np.float32([20, 40, 30])[np.newaxis, :, np.newaxis]
    rpn = rpn_outputs([1, 1, 1])._replace(logits=tf.constant(logits))
    proposals = ProposalLayer({"test_pre_nms": 2, "test_post_nms": 2})(
        rpn, whole(in_a_row(3)), np.float32([[100, 100]]), ONE_TO_ONE
    )
    boxes, _ = valid_rows(proposals)
    np.testing.assert_array_equal(boxes, in_a_row(3)[[1, 2]])


@pytest.mark.parametrize(("cut_first", "kept"), [(False, [0.8, 0.7]), (True, [0.8])])
def test_small_boxes_are_dropped_before_or_after_the_first_cut(cut_first, kept):
    anchors = in_a_row(4)
    anchors[0, 2:] = anchors[0, :2] + 4
    layer = ProposalLayer(
        {"test_pre_nms": 2, "test_post_nms": 2, "min_size": 5},
        conventions={"cut_first": cut_first},
    )
    _, scores = propose(layer, [0.9, 0.8, 0.7, 0.6], anchors)
    np.testing.assert_allclose(scores, kept)


def test_plus_one_clips_to_the_last_pixel():
    anchors = [[80, 80, 120, 130]]
    boxes, _ = propose(
        ProposalLayer(conventions={"plus_one": True, "nms_plus_one": True}),
        [0.9],
        anchors,
    )
    np.testing.assert_allclose(boxes, [[80, 80, 99, 99]], atol=1e-4)
    boxes, _ = propose(ProposalLayer(), [0.9], anchors)
    np.testing.assert_allclose(boxes, [[80, 80, 100, 100]], atol=1e-4)


def test_an_anchor_that_is_not_valid_is_no_proposal_and_suppresses_none():
    anchors = np.float32([[0, 0, 10, 10], [0, 0, 10, 10], [0, 20, 10, 30]])
    proposals = ProposalLayer({"test_pre_nms": 3, "test_post_nms": 3})(
        rpn_outputs([0.9, 0.8, 0.7]),
        whole(anchors, [False, True, True]),
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
    layer = ProposalLayer({"test_pre_nms": 9, "test_post_nms": 6})
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
            whole(in_a_row(2)),
            np.float32([[100, 100]]),
            ONE_TO_ONE,
        )
        total = tf.reduce_sum(proposals.boxes) + tf.reduce_sum(proposals.scores)
    assert tape.gradient(total, [scores, deltas]) == [None, None]


@pytest.mark.parametrize(("mode", "case", "phase"), in_modes(TFR))
@pytest.mark.parametrize("in_graph", [False, True])
def test_proposals_equal_tf_faster_rcnn(golden, layer_in, mode, case, phase, in_graph):
    stored = golden(TFR)
    inputs = tfr_inputs(stored, case)
    layer = ProposalLayer(conventions={"plus_one": True, "nms_plus_one": True})
    name, quantity = f"{case}_{phase}", "NumPy layer"
    if in_graph:
        name, quantity = f"{name}_graph", "in-graph layer"
        layer = ProposalLayer(
            {
                "train_pre_nms": None,
                "train_post_nms": 2000,
                "test_pre_nms": None,
                "test_post_nms": 300,
            },
            conventions={"plus_one": True, "nms_plus_one": False},
        )
    boxes, scores = valid_rows(
        layer_in(mode, layer)(*inputs, training=phase == "train")
    )
    compare_with_tfr(stored, quantity, name, boxes, scores)


def compare_with_tfr(stored, quantity, name, boxes, scores):
    scores, array = scores[:, np.newaxis], f"{name}_rois"
    stored.compare(f"{quantity}, scores", f"{name}_scores", scores)
    expected = stored[array][:, 1:][:, YX]
    stored.compare(f"{quantity}, pixels", array, boxes, expected, atol=5e-4)


@pytest.mark.parametrize(("mode", "case", "phase"), in_modes(CHN))
def test_proposals_equal_chenyuntc(golden, layer_in, mode, case, phase):
    stored = golden(CHN)
    height, width = (int(stored[f"{case}_{key}"]) for key in ("height", "width"))
    size = stored[f"{case}_image_hw"]
    grid = AnchorGrid(anchors={"style": "centred"})
    features = [np.zeros([1, height, width, 1])]
    anchors = grid(features, np.float32([size]), np.int32([0, 0])).boxes
    boxes, scores = propose(
        layer_in(mode, ProposalLayer({"min_size": 16})),
        stored[f"{case}_score"],
        anchors,
        size=size,
        scale=stored[f"{case}_scale"],
        deltas=stored[f"{case}_loc"][np.newaxis],
        training=phase == "train",
    )
    stored.compare("pixels", f"{case}_{phase}_rois", boxes, atol=5e-4)
    assert np.all(np.diff(scores) < 0)


@pytest.mark.parametrize("case", golden_cases(CHN))
def test_as_many_boxes_are_too_small_as_for_chenyuntc(golden, case):
    stored = golden(CHN)
    scores, size = stored[f"{case}_score"], stored[f"{case}_image_hw"]
    height, width = (int(stored[f"{case}_{key}"]) for key in ("height", "width"))
    features = [np.zeros([1, height, width, 1])]
    anchors = AnchorGrid(anchors={"style": "centred"})(
        features, np.float32([size]), size
    ).boxes
    boxes, _ = propose(
        ProposalLayer(
            {
                "test_pre_nms": None,
                "test_post_nms": len(scores),
                "test_nms": False,
                "min_size": 16,
            }
        ),
        scores,
        anchors,
        size=size,
        scale=stored[f"{case}_scale"],
        deltas=stored[f"{case}_loc"][np.newaxis],
    )
    assert len(scores) - len(boxes) == stored[f"{case}_num_too_small"]


def test_inference_without_suppression_takes_the_best():
    layer = ProposalLayer(
        {
            "test_pre_nms": None,
            "test_post_nms": 2,
            "train_pre_nms": 3,
            "train_post_nms": 3,
            "test_nms": False,
        }
    )
    same = [[0, 0, 10, 10]] * 3
    boxes, scores = propose(layer, [0.1, 0.9, 0.8], same)
    np.testing.assert_allclose(boxes, same[:2])
    np.testing.assert_array_equal(scores, np.float32([0.9, 0.8]))
    _, scores = propose(layer, [0.1, 0.9, 0.8], same, training=True)
    np.testing.assert_array_equal(scores, np.float32([0.9]))


@pytest.mark.parametrize("case", golden_cases(TFR))
@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
def test_proposals_without_suppression_equal_tf_faster_rcnn(
    golden, layer_in, mode, case
):
    stored = golden(TFR)
    count = int(stored[f"{case}_top_n"])
    layer = ProposalLayer(
        {"test_pre_nms": None, "test_post_nms": count, "test_nms": False},
        conventions={"plus_one": True, "nms_plus_one": True},
    )
    inputs = tfr_inputs(stored, case)
    boxes, scores = valid_rows(layer_in(mode, layer)(*inputs))
    compare_with_tfr(stored, "top layer", f"{case}_top", boxes, scores)


def test_levels_are_cut_and_suppressed_apart_and_then_share_the_places():
    boxes = [[0, 0, 10, 10], [0, 0, 10, 10], [0, 20, 10, 30], [0, 0, 10, 10]]
    anchors = whole(boxes)._replace(level_sizes=(np.array(3), np.array(1)))
    rpn = rpn_outputs([0.4, 0.9, 0.3, 0.5])
    rest = np.float32([[100, 100]]), ONE_TO_ONE
    for count, kept in ((3, [0.9, 0.5, 0.3]), (2, [0.9, 0.5])):
        layer = ProposalLayer(
            {"test_pre_nms": 3, "test_post_nms": count, "per_level": True}
        )
        proposals = layer(rpn, anchors, *rest)
        np.testing.assert_array_equal(proposals.scores[0], np.float32(kept))
        np.testing.assert_array_equal(proposals.levels[0], [0, 1, 0][:count])
    # One per level before the suppression; the third has no place.
    proposals = ProposalLayer(
        {"test_pre_nms": 1, "test_post_nms": 3, "per_level": True}
    )(rpn, anchors, *rest)
    np.testing.assert_array_equal(proposals.scores[0], np.float32([0.9, 0.5, 0]))
    # Together, the box of the second level is suppressed by the first's.
    proposals = ProposalLayer({"test_pre_nms": 4, "test_post_nms": 3})(
        rpn, anchors, *rest
    )
    np.testing.assert_array_equal(proposals.scores[0], np.float32([0.9, 0.3, 0]))


def test_the_growth_of_a_box_may_be_bounded():
    deltas = np.zeros([1, 1, 4])
    deltas[..., 2] = 3
    layer = ProposalLayer(conventions={"max_log_scale": float(np.log(2))})
    boxes, _ = propose(layer, [0.9], [[40, 40, 50, 50]], deltas=deltas)
    np.testing.assert_allclose(boxes, [[35, 40, 55, 50]], atol=1e-4)


@pytest.mark.parametrize("mode", ["eager", "graph", "xla"])
@pytest.mark.parametrize("prefix", ["", "thresh098_"])
def test_proposals_equal_torchvision(golden, layer_in, mode, prefix):
    stored = golden("proposals_torchvision")
    layer = ProposalLayer(
        {
            "test_pre_nms": int(stored["pre_nms_top_n"]),
            "test_post_nms": int(stored["post_nms_top_n"]),
            "nms_iou": float(stored["nms_thresh"]),
            "per_level": True,
            "min_size": float(stored["min_size"]),
            "min_score": 0.98 if prefix else 0.0,
        },
        conventions={"max_log_scale": float(np.log(1000 / 16))},
    )
    logits = stored["objectness"][..., np.newaxis]
    deltas = stored["deltas"].astype(np.float32)[..., YX]
    rpn = RPNOutputs(*map(tf.constant, (logits, _sigmoid(logits[..., 0]), deltas)))
    anchors = Anchors(
        stored["anchors"][:, YX],
        np.ones(rpn.scores.shape, bool),
        tuple(map(np.array, stored["num_per_level"])),
    )
    sizes = stored["image_shapes"].astype(np.float32)

    def propose_by_level(rpn, sizes, scales):
        # The graph knows the levels' sizes, as it does in a model under XLA.
        return layer(rpn, anchors, sizes, scales)

    proposals = layer_in(mode, propose_by_level)(rpn, sizes, np.ones_like(sizes))
    for image in range(len(sizes)):
        own = type(proposals)(*(part[image : image + 1] for part in proposals))
        boxes, scores = valid_rows(own)
        name = f"{prefix}image{image}_boxes"
        expected = stored[name][:, YX]
        stored.compare("pixels", name, boxes, expected, atol=5e-4)
        stored.compare("scores", f"{prefix}image{image}_scores", scores, atol=1e-6)


def _sigmoid(logits):
    return np.float32(1 / (1 + np.exp(-logits.astype(np.float64))))


def test_the_batch_mate_of_a_reference_case_changes_nothing(golden):
    stored, case = golden(TFR), golden_cases(TFR)[-1]
    rpn, anchors, sizes, scales = tfr_inputs(stored, case)
    rng = np.random.default_rng(0)
    both = RPNOutputs(
        *(tf.concat([rng.permuted(part, axis=1), part], axis=0) for part in rpn)
    )
    half = rng.uniform(size=anchors.valid.shape) < 0.5
    proposals = ProposalLayer(conventions={"plus_one": True, "nms_plus_one": True})(
        both,
        anchors._replace(valid=np.concatenate([half, np.ones_like(half)])),
        np.concatenate([sizes - 40, sizes]),
        np.tile(scales, [2, 1]),
    )
    second = type(proposals)(*(part[1:] for part in proposals))
    boxes, scores = valid_rows(second)
    compare_with_tfr(stored, "NumPy layer", f"{case}_test", boxes, scores)
