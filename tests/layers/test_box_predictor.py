import numpy as np
import tensorflow as tf

from tf_frcnn.layers import BoxPredictor


def numbered_deltas(num_rois, num_sets):
    """Returns deltas [1, R, sets, 4] that hold 100 * RoI + 10 * set + coordinate."""
    roi, one_set, coordinate = np.indices([num_rois, num_sets, 4])
    return tf.constant(100.0 * roi + 10 * one_set + coordinate)[tf.newaxis]


def test_deltas_of_picks_the_class_of_each_roi():
    predictor = BoxPredictor(3)
    picked = predictor.deltas_of(numbered_deltas(4, 4), np.int32([[2, 0, 3, -1]]))
    np.testing.assert_array_equal(
        picked,
        [
            [
                [20, 21, 22, 23],
                [100, 101, 102, 103],
                [230, 231, 232, 233],
                [300, 301, 302, 303],
            ]
        ],
    )


def test_class_agnostic_deltas_serve_every_class():
    predictor = BoxPredictor(3, {"class_agnostic": True})
    picked = predictor.deltas_of(numbered_deltas(3, 1), np.int32([[2, 0, -1]]))
    np.testing.assert_array_equal(
        picked, [[[0, 1, 2, 3], [100, 101, 102, 103], [200, 201, 202, 203]]]
    )


def test_four_units_in_turn_are_the_deltas_of_a_class():
    predictor = BoxPredictor(2)
    hidden = np.float32([[[1], [2]]])
    predictor(hidden)
    predictor.logits.set_weights([np.float32([[5, 6, 7]]), np.float32([0, 0, 1])])
    predictor.deltas.set_weights([np.arange(12.0)[np.newaxis], np.zeros(12)])
    logits, deltas = predictor(hidden)
    np.testing.assert_array_equal(logits, [[[5, 6, 8], [10, 12, 15]]])
    of_classes = np.arange(12).reshape(3, 4)
    np.testing.assert_array_equal(deltas, [[of_classes, 2 * of_classes]])


def test_a_class_agnostic_predictor_has_one_set_of_deltas():
    predictor = BoxPredictor(20, {"class_agnostic": True})
    predictor.build((None, None, 8))
    assert predictor.count_params() == (8 * 21 + 21) + (8 * 4 + 4)
    predictor = BoxPredictor(20)
    predictor.build((None, None, 8))
    assert predictor.count_params() == (8 * 21 + 21) + (8 * 84 + 84)


def test_weights_begin_as_in_the_paper():
    predictor = BoxPredictor(20)
    predictor.build((None, None, 1024))
    for layer, stddev in ((predictor.logits, 0.01), (predictor.deltas, 0.001)):
        kernel, bias = layer.get_weights()
        np.testing.assert_allclose(kernel.std(), stddev, rtol=0.05)
        assert not bias.any()


def test_a_predictor_that_does_not_regress_leaves_the_proposals_as_they_are():
    predictor = BoxPredictor(20, {"regress_boxes": False})
    logits, deltas = predictor(np.ones([2, 3, 8], np.float32))
    assert predictor.count_params() == 8 * 21 + 21
    assert logits.shape == (2, 3, 21)
    np.testing.assert_array_equal(deltas, np.zeros([2, 3, 1, 4]))
    picked = predictor.deltas_of(deltas, np.int32([[5, 0, -1]] * 2))
    np.testing.assert_array_equal(picked, np.zeros([2, 3, 4]))
