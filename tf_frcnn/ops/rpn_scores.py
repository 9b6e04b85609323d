"""The caffe-style layout of the RPN's scores.

2A channels hold the background scores of all A anchors, then their object scores. The
caffe line reshapes them to two channels (A * h rows), applies a two-way softmax and
reshapes back. Source: tf-faster-rcnn:lib/nets/network.py, `_reshape_layer`.
"""

import numpy as np
import tensorflow as tf


def reshape_to_two_channels(scores: tf.Tensor) -> tf.Tensor:
    """Rearranges [B, h, w, 2A] to [B, A * h, w, 2], (background, object) last.

    Row a * h + y of the result is anchor a at row y of the map.
    """
    _, height, width, channels = _shape(scores)
    channels_first = tf.transpose(scores, [0, 3, 1, 2])
    two = tf.reshape(channels_first, [-1, 2, channels // 2 * height, width])
    return tf.transpose(two, [0, 2, 3, 1])


def reshape_from_two_channels(two: tf.Tensor, num_anchors: int) -> tf.Tensor:
    """Rearranges [B, A * h, w, 2] back to [B, h, w, 2A]."""
    _, rows, width, _ = _shape(two)
    channels_first = tf.transpose(two, [0, 3, 1, 2])
    height = rows // num_anchors
    maps = tf.reshape(channels_first, [-1, 2 * num_anchors, height, width])
    return tf.transpose(maps, [0, 2, 3, 1])


def softmax_over_pairs(scores: tf.Tensor) -> tf.Tensor:
    """Turns scores [B, h, w, 2A] into probabilities of the same layout.

    Channels a and A + a sum to 1: background and object of anchor a.
    """
    two = tf.nn.softmax(reshape_to_two_channels(scores))
    return reshape_from_two_channels(two, scores.shape[-1] // 2)


def flatten_to_anchors(
    maps: tf.Tensor, num_anchors: int, *, values_first: bool
) -> tf.Tensor:
    """Flattens a map of V values per anchor to one row per anchor.

    Args:
        maps: float [B, h, w, V * A].
        num_anchors: A.
        values_first: channels are ordered value by value (the two scores of the caffe
            layout); otherwise anchor by anchor (the four deltas).

    Returns:
        float [B, h * w * A, V]; row by row over cells, anchors fastest.
    """
    _, height, width, channels = _shape(maps)
    num_values = channels // num_anchors
    if values_first:
        maps = tf.reshape(maps, [-1, height, width, num_values, num_anchors])
        maps = tf.transpose(maps, [0, 1, 2, 4, 3])
    return tf.reshape(maps, [-1, height * width * num_anchors, num_values])


def from_interleaved(values: np.ndarray) -> np.ndarray:
    """Reorders (background, object) of anchor after anchor into caffe's layout.

    It is for the weights and biases of the score convolution of published checkpoints
    whose channels alternate.

    Args:
        values: [..., 2A], channels background 0, object 0, background 1, ...

    Returns:
        [..., 2A], A background channels, then A object channels.

    Source: simple-faster-rcnn-pytorch:model/region_proposal_network.py; bubbliiiing's
        faster-rcnn-pytorch has the same order.
    """
    return np.concatenate([values[..., ::2], values[..., 1::2]], axis=-1)


def _shape(tensor):
    """Returns the sizes of the axes: static where known, dynamic elsewhere."""
    dynamic = tf.shape(tensor)
    return [dynamic[i] if n is None else n for i, n in enumerate(tensor.shape)]
