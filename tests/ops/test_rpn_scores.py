import numpy as np
import pytest

from tests.helpers.golden import golden_cases
from tf_frcnn.ops.rpn_scores import (
    flatten_to_anchors,
    from_interleaved,
    reshape_from_two_channels,
    reshape_to_two_channels,
    softmax_over_pairs,
)


def named_scores(height, width, num_anchors):
    """Returns scores 1000 * object + 100 * anchor + 10 * row + column."""
    score = np.zeros([1, height, width, 2 * num_anchors], np.float32)
    for channel in range(2 * num_anchors):
        is_object, anchor = divmod(channel, num_anchors)
        for row in range(height):
            score[0, row, :, channel] = 1000 * is_object + 100 * anchor + 10 * row
    return score + np.arange(width, dtype=np.float32)[:, np.newaxis]


def test_two_channels_hold_the_rows_of_anchor_0_then_those_of_anchor_1(in_mode):
    two = in_mode(reshape_to_two_channels)(named_scores(2, 3, 2))
    background = [[0, 1, 2], [10, 11, 12], [100, 101, 102], [110, 111, 112]]
    np.testing.assert_array_equal(two[0, ..., 0], background)
    np.testing.assert_array_equal(two[0, ..., 1], np.add(background, 1000))


def test_reshaping_back_undoes_the_reshape(in_mode):
    scores = np.concatenate([named_scores(2, 3, 4), -named_scores(2, 3, 4)])
    two = in_mode(reshape_to_two_channels)(scores)
    back = in_mode(reshape_from_two_channels)(two, num_anchors=4)
    np.testing.assert_array_equal(back, scores)


def test_the_softmax_pairs_background_and_object_of_the_same_anchor(in_mode):
    # Anchors 0 and 1 at one cell: backgrounds 0 and 2, objects log 3 and 2.
    scores = np.float32([[[[0, 2, np.log(3), 2]]]])
    np.testing.assert_allclose(
        in_mode(softmax_over_pairs)(scores), [[[[0.25, 0.5, 0.75, 0.5]]]], rtol=1e-6
    )


@pytest.mark.parametrize("case", golden_cases("rpn_softmax"))
def test_layout_and_softmax_equal_tf_faster_rcnn(golden, in_mode, case):
    stored = golden("rpn_softmax")
    scores, num_anchors = stored[f"{case}_scores"], int(stored[f"{case}_num_anchors"])
    two = in_mode(reshape_to_two_channels)(scores)
    stored.compare("layout", f"{case}_reshaped", two)
    back = in_mode(reshape_from_two_channels)(two, num_anchors=num_anchors)
    np.testing.assert_array_equal(back, scores)
    probabilities = in_mode(softmax_over_pairs)(scores)
    stored.compare("probabilities", f"{case}_prob", probabilities, atol=1e-6)


@pytest.mark.parametrize("case", golden_cases("rpn_softmax"))
def test_an_object_score_is_the_sigmoid_of_the_difference(golden, in_mode, case):
    stored = golden("rpn_softmax")
    scores, num_anchors = stored[f"{case}_scores"], int(stored[f"{case}_num_anchors"])
    background, objects = scores[..., :num_anchors], scores[..., num_anchors:]
    expected = 1 / (1 + np.exp(background - objects))
    probabilities = in_mode(softmax_over_pairs)(scores)
    np.testing.assert_allclose(probabilities[..., num_anchors:], expected, atol=1e-6)


def test_scores_of_one_anchor_stand_in_one_row_anchors_fastest(in_mode):
    rows = in_mode(flatten_to_anchors)(
        named_scores(2, 2, 3), num_anchors=3, values_first=True
    )
    background = [0, 100, 200, 1, 101, 201, 10, 110, 210, 11, 111, 211]
    np.testing.assert_array_equal(rows[0, :, 0], background)
    np.testing.assert_array_equal(rows[0, :, 1], np.add(background, 1000))


def test_deltas_of_one_anchor_stand_in_one_row_anchors_fastest(in_mode):
    # Channels of a cell: the four deltas of anchor 0, then those of anchor 1.
    maps = np.arange(2 * 2 * 3 * 8, dtype=np.float32).reshape(2, 2, 3, 8)
    rows = in_mode(flatten_to_anchors)(maps, num_anchors=2, values_first=False)
    np.testing.assert_array_equal(
        rows[0, :3], [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    )
    np.testing.assert_array_equal(rows[1, -1], [92, 93, 94, 95])
    assert rows.shape == (2, 12, 4)


def test_flat_rows_equal_tf_faster_rcnn(golden, in_mode):
    losses = golden("losses")
    rows = in_mode(flatten_to_anchors)(
        losses["rpn_cls_score"], num_anchors=int(losses["A"]), values_first=True
    )
    np.testing.assert_array_equal(rows[0], losses["flat_logits2"])


def test_interleaved_channels_are_brought_into_the_layout_of_caffe(golden):
    np.testing.assert_array_equal(
        from_interleaved(np.array(["b0", "o0", "b1", "o1"])), ["b0", "b1", "o0", "o1"]
    )
    losses = golden("losses")
    interleaved = losses["flat_logits2"].reshape(1, int(losses["h"]), losses["w"], -1)
    np.testing.assert_array_equal(
        from_interleaved(interleaved), losses["rpn_cls_score"]
    )
