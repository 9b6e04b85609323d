import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.ops.iou_losses import ciou_losses, diou_losses, giou_losses

ALL = [giou_losses, diou_losses, ciou_losses]
BOXES = np.float32(
    [
        [10, 20, 50, 80],
        [0, 0, 10, 10],
        [0, 0, 4, 8],
        [30, 30, 34, 90],
        [5, 5, 5.5, 5.25],
        [100, 40, 160, 60],
    ]
)
OTHERS = np.float32(
    [
        [10, 20, 50, 80],
        [5, 0, 15, 10],
        [20, 20, 28, 22],
        [30, 31, 50, 61],
        [4, 6, 7, 7.5],
        [90, 45, 150, 75],
    ]
)
# Of generalized_, distance_ and complete_box_iou_loss, torchvision 0.14.1, in float64.
OF_TORCHVISION = {
    giou_losses: [0, 0.666667, 1.922078, 1.233333, 1.383333, 0.748299],
    diou_losses: [0, 0.743590, 1.609621, 0.898333, 1.177254, 0.699320],
    ciou_losses: [0, 0.743590, 1.679369, 0.911203, 1.177254, 0.699418],
}


def value_and_gradient(loss, boxes, others):
    with tf.GradientTape() as tape:
        tape.watch(boxes)
        losses = loss(boxes, others)
    return losses, tape.gradient(losses, boxes)


GRADIENTS = {
    loss: lambda boxes, others, loss=loss: value_and_gradient(loss, boxes, others)
    for loss in ALL
}


def test_boxes_side_by_side_by_hand(in_mode):
    # IoU 0, enclosing box 2 x 4 of area 8, union 4, centres 3 apart, diagonal^2 20.
    boxes, others = np.float32([[0, 0, 2, 1]]), np.float32([[0, 3, 2, 4]])
    np.testing.assert_allclose(in_mode(giou_losses)(boxes, others), [1 + 4 / 8])
    np.testing.assert_allclose(in_mode(diou_losses)(boxes, others), [1 + 9 / 20])
    np.testing.assert_allclose(in_mode(ciou_losses)(boxes, others), [1 + 9 / 20])
    # The first of these turned about its centre: atan 1/2 and atan 2.
    turned, upright = np.float32([[0.5, -0.5, 1.5, 1.5]]), boxes
    iou, square = 1 / 3, (2 / np.pi * (np.arctan(2) - np.arctan(0.5))) ** 2
    aspect = square * square / (1 - iou + square)
    np.testing.assert_allclose(
        in_mode(ciou_losses)(turned, upright), [1 - iou + aspect], rtol=1e-6
    )


@pytest.mark.parametrize("loss", ALL)
def test_values_are_those_of_torchvision_and_do_not_depend_on_the_order(in_mode, loss):
    values = in_mode(loss)(BOXES, OTHERS)
    np.testing.assert_allclose(values, OF_TORCHVISION[loss], atol=2e-6)
    np.testing.assert_allclose(in_mode(loss)(OTHERS, BOXES), values, atol=1e-6)


@pytest.mark.parametrize("loss", ALL)
def test_gradients_are_those_of_finite_differences(in_mode, loss):
    # Without equal corners, where the losses have kinks.
    boxes, others = BOXES[2:].astype(np.float64), OTHERS[2:].astype(np.float64)
    boxes += np.float64([0.11, 0.23, 0.37, 0.53])
    _, gradient = in_mode(GRADIENTS[loss])(boxes, others)
    step, expected = 1e-5, np.zeros_like(boxes)
    for n in range(4):
        shift = step * np.eye(4)[n]
        up, down = (
            _with_factor_of(loss, boxes + sign * shift, others, boxes)
            for sign in (1, -1)
        )
        expected[:, n] = (up - down) / (2 * step)
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-8)


def _with_factor_of(loss, boxes, others, at):
    """Returns the losses of boxes; the factor of CIoU's term is that of boxes `at`."""
    if loss is not ciou_losses:
        return loss(boxes, others).numpy()
    base, own = diou_losses(boxes, others).numpy(), _difference(boxes, others)
    there = _difference(at, others)
    aspect = ciou_losses(at, others).numpy() - diou_losses(at, others).numpy()
    return base + aspect / there * own


def _difference(boxes, others):
    angles = [
        np.arctan2(own[:, 3] - own[:, 1], own[:, 2] - own[:, 0])
        for own in (boxes, others)
    ]
    return (2 / np.pi * (angles[0] - angles[1])) ** 2


@pytest.mark.parametrize("loss", ALL)
def test_no_box_makes_a_gradient_infinite(in_mode, loss):
    point, line = [7, 7, 7, 7], [7, 0, 7, 9]
    far, tiny = [1e6, 1e6, 1e6 + 2, 1e6 + 3], [7, 7, 7 + 1e-6, 7 + 1e-6]
    kinds = [point, line, far, tiny, [0, 0, 1e5, 1e5], [0, 0, 1, 1]]
    boxes = np.float32([one for one in kinds for _ in kinds])
    others = np.float32(kinds * len(kinds))
    values, gradient = in_mode(GRADIENTS[loss])(boxes, others)
    assert np.isfinite(values).all() and np.isfinite(gradient).all()
    assert values.min() >= 0 and values[0] == 1


def test_far_boxes_are_drawn_together(in_mode):
    boxes, others = np.float32([[0, 0, 2, 2]]), np.float32([[500, 500, 502, 502]])
    for loss in ALL:
        _, gradient = in_mode(GRADIENTS[loss])(boxes, others)
        assert gradient[0, 2] < 0 and gradient[0, 3] < 0
