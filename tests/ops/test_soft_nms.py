import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.ops.boxes import pairwise_iou
from tf_frcnn.ops.nms import non_max_suppression
from tf_frcnn.ops.soft_nms import soft_non_max_suppression


def one_by_one(boxes, scores, valid, iou_threshold, plus_one):
    """Returns rows and lowered scores of one image, as the paper's figure 2 has it."""
    iou = pairwise_iou(boxes, boxes, plus_one=plus_one).numpy()
    scores, left = scores.astype(np.float64), list(np.flatnonzero(valid))
    taken = []
    while left:
        best = max(left, key=lambda row: scores[row])
        taken.append((best, scores[best]))
        left.remove(best)
        for row in left:
            if iou[best, row] > np.float32(iou_threshold):
                scores[row] *= 1.0 - iou[best, row]
    return taken


def random_images(seed=0, count=25):
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 20, [3, count, 2])
    boxes = np.concatenate([corners, corners + rng.uniform(4, 12, [3, count, 2])], -1)
    scores = rng.permutation(3 * count).reshape(3, count) / (3 * count)
    valid = rng.uniform(size=[3, count]) < [[0.9], [0.3], [0.0]]
    return boxes.astype(np.float32), scores.astype(np.float32), valid


@pytest.mark.parametrize("unroll", [False, True])
@pytest.mark.parametrize("plus_one", [False, True])
def test_it_takes_what_the_paper_takes(in_mode, plus_one, unroll):
    images, most = random_images(), 30
    settings = {"iou_threshold": 0.3, "plus_one": plus_one}
    index, scores, kept = in_mode(soft_non_max_suppression)(
        *images, max_outputs=most, unroll=unroll, **settings
    )
    assert (index.shape, scores.shape, kept.shape) == ((3, most),) * 3
    for row, image in enumerate(zip(*images, strict=True)):
        expected = one_by_one(*image, **settings)
        assert kept[row].sum() == len(expected)
        assert index[row, : len(expected)].tolist() == [n for n, _ in expected]
        lowered = [score for _, score in expected]
        np.testing.assert_allclose(scores[row, : len(expected)], lowered, rtol=1e-5)
        assert not index[row, len(expected) :].any()
        assert not scores[row, len(expected) :].any()


def test_few_places_hold_the_best():
    images = random_images(1)
    all_rows = soft_non_max_suppression(*images, max_outputs=25, iou_threshold=0.3)
    few = soft_non_max_suppression(*images, max_outputs=4, iou_threshold=0.3)
    for own, rest in zip(few, all_rows, strict=True):
        np.testing.assert_array_equal(own, rest[:, :4])


def test_boxes_that_overlap_less_are_left_as_they_are():
    images = [*map(tf.constant, random_images(2))]
    index, scores, kept = soft_non_max_suppression(
        *images, max_outputs=25, iou_threshold=1.0
    )
    hard, hard_kept = non_max_suppression(*images, max_outputs=25, iou_threshold=1.0)
    np.testing.assert_array_equal(index, hard)
    np.testing.assert_array_equal(kept, hard_kept)
    own = tf.gather(images[1], index, batch_dims=1)
    np.testing.assert_array_equal(scores, tf.where(kept, own, 0.0))


def test_a_second_box_of_an_object_ends_at_zero():
    boxes = np.tile(np.float32([0, 0, 10, 10]), [1, 2, 1])
    scores = np.float32([[0.9, 0.8]])
    index, lowered, kept = soft_non_max_suppression(
        boxes, scores, np.ones([1, 2], bool), max_outputs=2, iou_threshold=0.3
    )
    assert index.numpy().tolist() == [[0, 1]] and kept.numpy().all()
    np.testing.assert_array_equal(lowered, np.float32([[0.9, 0.0]]))
