"""The NamedTuples that travel between the parts of the detector.

Boxes are float32 (ymin, xmin, ymax, xmax) in pixels of the network's input image.
"""

from typing import NamedTuple

import tensorflow as tf


class Anchors(NamedTuple):
    """The anchors of all levels, finest level first.

    Attributes:
        boxes: float32 [N, 4] in pixels; within a level by row, by column, by anchor of
            a cell.
        valid: bool [B, N], False for cells of the canvas padding.
        level_sizes: int32 [] per level, number of the N that are its own.
    """

    boxes: tf.Tensor
    valid: tf.Tensor
    level_sizes: tuple[tf.Tensor, ...]


class Matches(NamedTuple):
    """The ground-truth box of highest IoU for each box, from `ops.matching`.

    Attributes:
        index: int32 [B, N], row of the matched box; 0 where an image has none.
        iou: float32 [B, N], IoU with the matched box; -1 where an image has none.
    """

    index: tf.Tensor
    iou: tf.Tensor


class RPNOutputs(NamedTuple):
    """The RPN head's outputs for every anchor, whatever form its scores have.

    Attributes:
        logits: float32 [B, N, 2] (background, object) in the softmax form,
            [B, N, 1] in the sigmoid form.
        scores: float32 [B, N], probability of an object.
        deltas: float32 [B, N, 4].
    """

    logits: tf.Tensor
    scores: tf.Tensor
    deltas: tf.Tensor


class Candidates(NamedTuple):
    """The RPN's boxes before non-maximum suppression, in the order of the anchors.

    Attributes:
        boxes: float32 [B, N, 4].
        scores: float32 [B, N].
        large: bool [B, N], whether a box of the image is as wide and high as proposals
            must be.
        entered: bool [B, N], whether it is among the best, which are suppressed.
    """

    boxes: tf.Tensor
    scores: tf.Tensor
    large: tf.Tensor
    entered: tf.Tensor


class Proposals(NamedTuple):
    """The RPN's boxes after non-maximum suppression, best first.

    Attributes:
        boxes: float32 [B, P, 4]; zero in padded rows.
        scores: float32 [B, P]; zero in padded rows.
        valid: bool [B, P], False in padded rows.
        levels: int32 [B, P], the level whose anchor gave the box, 0 the finest.
    """

    boxes: tf.Tensor
    scores: tf.Tensor
    valid: tf.Tensor
    levels: tf.Tensor


class AnchorTargets(NamedTuple):
    """The RPN's targets for each anchor.

    Attributes:
        labels: int32 [B, N]; 1 object, 0 background, -1 not counted.
        deltas: float32 [B, N, 4] to the matched box; zero without one.
    """

    labels: tf.Tensor
    deltas: tf.Tensor


class RoITargets(NamedTuple):
    """The RoIs that the box head trains on, and their targets.

    Attributes:
        boxes: float32 [B, R, 4]; zero in unused rows.
        labels: int32 [B, R]; 0 background, 1..K object, -1 unused row.
        deltas: float32 [B, R, 4], normalised; zero where no object is matched.
        levels: int32 [B, R], of the proposal; 0 for ground-truth boxes.
    """

    boxes: tf.Tensor
    labels: tf.Tensor
    deltas: tf.Tensor
    levels: tf.Tensor


class Detections(NamedTuple):
    """Final detections, best first.

    Attributes:
        boxes: float32 [B, D, 4]; zero in padded rows.
        scores: float32 [B, D]; zero in padded rows.
        labels: int32 [B, D] in 0..K-1; -1 in padded rows.
        valid: bool [B, D], False in padded rows.
    """

    boxes: tf.Tensor
    scores: tf.Tensor
    labels: tf.Tensor
    valid: tf.Tensor
