import numpy as np
import pytest

from tests.helpers.golden import golden_cases
from tf_frcnn.layers import RPNHead
from tf_frcnn.layers.rpn_head import RPNMaps


def head_that_passes_its_input(num_anchors):
    """Returns a head whose score map is its input, [B, h, w, 2A].

    The ReLU takes the positive and the negative part apart, and the 1x1 convolution
    puts them together again.
    """
    channels = 2 * num_anchors
    head = RPNHead(num_anchors, {"channels": 2 * channels})
    head.build((None, None, None, channels))
    identity = np.eye(channels, dtype=np.float32)
    kernel = np.zeros(head.convs[0].kernel.shape, np.float32)
    kernel[1, 1] = np.concatenate([identity, -identity], axis=1)
    head.convs[0].set_weights([kernel, np.zeros(2 * channels)])
    kernel = np.concatenate([identity, -identity])[np.newaxis, np.newaxis]
    head.scores.set_weights([kernel, np.zeros(channels)])
    return head


def named_map(height, width, num_channels):
    """Returns a map that holds 100 * channel + 10 * row + column."""
    row, column, channel = np.indices([height, width, num_channels])
    return np.float32(100 * channel + 10 * row + column)[np.newaxis]


def test_the_softmax_pairs_background_and_object_of_the_same_anchor():
    head = RPNHead(2, {"channels": 4})
    features = np.ones([1, 1, 1, 3], np.float32)
    head(features)
    # The backgrounds of anchors 0 and 1, then their objects.
    bias = np.float32([0, 2, np.log(3), 2])
    head.scores.set_weights([np.zeros([1, 1, 4, 4]), bias])
    maps = head(features)
    np.testing.assert_allclose(maps.scores, [[[bias]]], rtol=1e-6)
    np.testing.assert_allclose(
        maps.probabilities, [[[[0.25, 0.5, 0.75, 0.5]]]], rtol=1e-6
    )
    outputs = head.flatten([maps])
    np.testing.assert_allclose(outputs.scores, [[0.75, 0.5]], rtol=1e-6)
    np.testing.assert_allclose(outputs.logits, [[[0, np.log(3)], [2, 2]]], rtol=1e-6)


def test_the_sigmoid_form_has_one_score_per_anchor():
    head = RPNHead(2, {"channels": 4, "score_form": "sigmoid"})
    features = np.ones([1, 1, 1, 3], np.float32)
    head(features)
    head.scores.set_weights([np.zeros([1, 1, 4, 2]), np.float32([0, np.log(3)])])
    maps = head(features)
    np.testing.assert_allclose(maps.probabilities, [[[[0.5, 0.75]]]], rtol=1e-6)
    outputs = head.flatten([maps])
    np.testing.assert_allclose(outputs.scores, [[0.5, 0.75]], rtol=1e-6)
    np.testing.assert_allclose(outputs.logits, [[[0], [np.log(3)]]], rtol=1e-6)


def test_anchor_a_of_a_cell_stands_at_its_row_of_the_list():
    num_anchors, height, width = 3, 2, 4
    maps = RPNMaps(
        named_map(height, width, 2 * num_anchors),
        -named_map(height, width, 2 * num_anchors),
        named_map(height, width, 4 * num_anchors),
    )
    outputs = RPNHead(num_anchors).flatten([maps])
    for y, x, a in np.ndindex(height, width, num_anchors):
        row, cell = (y * width + x) * num_anchors + a, 10 * y + x
        background, an_object = 100 * a + cell, 100 * (num_anchors + a) + cell
        np.testing.assert_array_equal(outputs.logits[0, row], [background, an_object])
        assert outputs.scores[0, row] == -an_object
        deltas = 100 * (4 * a + np.arange(4)) + cell
        np.testing.assert_array_equal(outputs.deltas[0, row], deltas)


def test_a_sigmoid_map_is_listed_in_the_same_order():
    maps = RPNMaps(named_map(2, 4, 3), -named_map(2, 4, 3), named_map(2, 4, 12))
    outputs = RPNHead(3, {"score_form": "sigmoid"}).flatten([maps])
    for y, x, a in np.ndindex(2, 4, 3):
        row, value = (y * 4 + x) * 3 + a, 100 * a + 10 * y + x
        np.testing.assert_array_equal(outputs.logits[0, row], [value])
        assert outputs.scores[0, row] == -value


def test_scores_and_deltas_see_3x3_cells_after_a_relu():
    head = RPNHead(1, {"channels": 1})
    features = np.zeros([1, 4, 5, 1], np.float32)
    features[0, 1, 2] = 2
    head(features)
    head.convs[0].set_weights([np.ones([3, 3, 1, 1]), np.float32([-0.5])])
    head.deltas.set_weights([np.full([1, 1, 1, 4], 10), np.float32([0, 1, 2, 3])])
    deltas = head(features).deltas.numpy()[0]
    # 2 - 0.5 where a cell sees the 2, and 0 where the ReLU cuts -0.5 off.
    expected = np.zeros([4, 5])
    expected[0:3, 1:4] = 15
    np.testing.assert_allclose(deltas[..., 0], expected)
    np.testing.assert_allclose(deltas - deltas[..., :1], np.tile(range(4), [4, 5, 1]))


def test_several_convolutions_follow_each_other_and_outputs_may_see_more_cells():
    head = RPNHead(1, {"channels": 1, "num_convs": 2, "output_size": 3})
    features = np.zeros([1, 7, 7, 1], np.float32)
    features[0, 3, 3] = 1
    head(features)
    for conv in head.convs:
        conv.set_weights([np.ones([3, 3, 1, 1]), np.zeros(1)])
    head.deltas.set_weights([np.ones([3, 3, 1, 4]), np.zeros(4)])
    # Three boxes of three cells: 1 3 6 7 6 3 1 along either axis.
    along = np.float32([1, 3, 6, 7, 6, 3, 1])
    deltas = head(features).deltas.numpy()[0, ..., 0]
    np.testing.assert_allclose(deltas, np.outer(along, along))


def test_levels_are_listed_one_after_the_other():
    levels = [
        RPNMaps(*(named_map(size, size, n) for n in (2, 2, 4))) for size in (2, 1)
    ]
    levels[1] = RPNMaps(*(values + 1000 for values in levels[1]))
    outputs = RPNHead(1).flatten(levels)
    np.testing.assert_array_equal(outputs.scores, [[100, 101, 110, 111, 1100]])
    np.testing.assert_array_equal(outputs.deltas[0, -1], [1000, 1100, 1200, 1300])


def test_only_the_3x3_convolution_computes_in_half_precision():
    head = RPNHead(1, {"channels": 1}, dtype="mixed_bfloat16")
    features = np.full([1, 1, 1, 1], 256, np.float32)
    head(features)
    head.convs[0].set_weights([np.ones([3, 3, 1, 1]), np.ones(1)])
    head.deltas.set_weights([np.ones([1, 1, 1, 4]), np.ones(4)])
    # bfloat16 has no 257: it makes 256 of 256 + 1, and float32 makes 257 of that + 1.
    np.testing.assert_array_equal(head(features).deltas, [[[[257] * 4]]])


def test_weights_begin_as_in_the_paper():
    head = RPNHead(9, {"channels": 512})
    head.build((None, None, None, 512))
    assert head.count_params() == (
        (3 * 3 * 512 * 512 + 512) + (512 * 18 + 18) + (512 * 36 + 36)
    )
    for layer in (*head.convs, head.scores, head.deltas):
        kernel, bias = layer.get_weights()
        np.testing.assert_allclose(kernel.std(), 0.01, rtol=0.05)
        np.testing.assert_allclose(kernel.mean(), 0, atol=5e-4)
        assert not bias.any()


@pytest.mark.parametrize("case", golden_cases("rpn_softmax"))
def test_scores_and_probabilities_equal_tf_faster_rcnn(golden, case):
    stored = golden("rpn_softmax")
    scores, num_anchors = stored[f"{case}_scores"], int(stored[f"{case}_num_anchors"])
    head = head_that_passes_its_input(num_anchors)
    maps = head(scores)
    np.testing.assert_allclose(maps.scores, scores, rtol=0, atol=1e-6)
    stored.compare("probabilities", f"{case}_prob", maps.probabilities, atol=1e-6)
    objects = stored[f"{case}_prob"][..., num_anchors:]
    listed = head.flatten([maps]).scores
    np.testing.assert_allclose(
        listed, objects.reshape(len(objects), -1), rtol=0, atol=1e-6
    )


def test_an_unknown_score_form_is_named_with_the_known_ones():
    with pytest.raises(ValueError, match=r"score_form = 'tanh'.*softmax.*sigmoid"):
        RPNHead(rpn={"score_form": "tanh"})
