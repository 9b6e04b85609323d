"""Anchors: reference boxes of several ratios and scales at every cell of a map."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf


def caffe_base_anchors(
    base_size: int, ratios: Sequence[float], scales: Sequence[float]
) -> np.ndarray:
    """Returns the anchors of cell (0, 0) as the caffe line rounds them.

    The window (0, 0, base_size - 1, base_size - 1) is reshaped to each ratio with
    sides rounded to whole pixels (half to even), then enlarged about its centre.

    Args:
        base_size: side of the window in pixels, the stride of the map.
        ratios: height / width.
        scales: factors of the side.

    Returns:
        float32 [A, 4], inclusive corners in pixels; ratio slowest, scale fastest.

    Source: py-faster-rcnn:lib/rpn/generate_anchors.py.
    """
    ratio, scale = _ratio_major(ratios, scales)
    widths = np.round(np.sqrt(base_size * base_size / ratio))
    heights = np.round(widths * ratio)
    half = (np.stack([heights * scale, widths * scale], axis=-1) - 1) / 2
    centre = (base_size - 1) / 2
    return np.concatenate([centre - half, centre + half], axis=-1).astype(np.float32)


def centred_base_anchors(
    base_size: int, ratios: Sequence[float], scales: Sequence[float]
) -> np.ndarray:
    """Returns the anchors of cell (0, 0), unrounded, about the middle of the cell.

    Args:
        base_size: side of the unscaled square in pixels, the stride of the map.
        ratios: height / width; the area does not depend on the ratio.
        scales: factors of the side.

    Returns:
        float32 [A, 4], continuous corners in pixels; ratio slowest, scale fastest.

    Source: simple-faster-rcnn-pytorch:model/utils/bbox_tools.py.
    """
    ratio, scale = _ratio_major(ratios, scales)
    sides = np.stack([np.sqrt(ratio), np.sqrt(1 / ratio)], axis=-1)
    half = sides * (base_size * scale)[:, np.newaxis] / 2
    centre = base_size / 2
    return np.concatenate([centre - half, centre + half], axis=-1).astype(np.float32)


def corner_base_anchors(
    base_size: int, ratios: Sequence[float], scales: Sequence[float]
) -> np.ndarray:
    """Returns the anchors of cell (0, 0), unrounded, about the cell's corner.

    Arguments and result are those of `centred_base_anchors`.

    Source: faster-rcnn-pytorch (bubbliiiing), whose ratios act as width / height:
        pass it the inverse ratios.
    """
    anchors = centred_base_anchors(base_size, ratios, scales)
    return anchors - np.float32(base_size / 2)


def torchvision_base_anchors(
    base_size: int, ratios: Sequence[float], scales: Sequence[float]
) -> np.ndarray:
    """Returns the anchors of cell (0, 0), rounded to pixels, about the cell's corner.

    Arguments and result are those of `centred_base_anchors`; halves round to even.

    Source: torchvision AnchorGenerator.
    """
    return np.round(corner_base_anchors(base_size, ratios, scales))


BASE_ANCHORS = {
    "caffe": caffe_base_anchors,
    "centred": centred_base_anchors,
    "corner": corner_base_anchors,
    "torchvision": torchvision_base_anchors,
}


def shift_over_grid(
    base_anchors: np.ndarray | tf.Tensor,
    height: int | tf.Tensor,
    width: int | tf.Tensor,
    stride: int | tf.Tensor,
) -> tf.Tensor:
    """Repeats the base anchors at every cell of a feature map.

    Args:
        base_anchors: float32 [A, 4], the anchors of cell (0, 0) in pixels.
        height: rows of the map.
        width: columns of the map.
        stride: pixels per cell; one number, or integer [2] along y and x.

    Returns:
        float32 [h * w * A, 4] in pixels; row by row, base anchors fastest.
    """
    stride_y, stride_x = tf.unstack(tf.broadcast_to(stride, [2]))
    rows = tf.cast(tf.range(height) * stride_y, tf.float32)
    columns = tf.cast(tf.range(width) * stride_x, tf.float32)
    shift_y, shift_x = tf.meshgrid(rows, columns, indexing="ij")
    shifts = tf.stack([shift_y, shift_x, shift_y, shift_x], axis=-1)
    return tf.reshape(shifts[:, :, tf.newaxis] + base_anchors, [-1, 4])


def cells_of_image(
    image_sizes: tf.Tensor,
    height: int | tf.Tensor,
    width: int | tf.Tensor,
    stride: int,
    num_anchors: int,
) -> tf.Tensor:
    """Returns whether each anchor belongs to a cell that the image reaches.

    The cells of the canvas padding would not exist if the image came alone.

    Args:
        image_sizes: float32 [B, 2], (height, width) of the image in pixels.
        height: rows of the map.
        width: columns of the map.
        stride: pixels per cell.
        num_anchors: A.

    Returns:
        bool [B, h * w * A], in the order of `shift_over_grid`.
    """
    rows = tf.cast(tf.range(height) * stride, tf.float32) < image_sizes[:, :1]
    columns = tf.cast(tf.range(width) * stride, tf.float32) < image_sizes[:, 1:]
    cells = rows[:, :, tf.newaxis] & columns[:, tf.newaxis, :]
    return tf.repeat(tf.reshape(cells, [-1, height * width]), num_anchors, axis=1)


def _ratio_major(ratios, scales):
    ratio, scale = np.meshgrid(
        np.asarray(ratios, np.float64), np.asarray(scales, np.float64), indexing="ij"
    )
    return ratio.ravel(), scale.ravel()
