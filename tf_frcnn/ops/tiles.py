"""Overlapping tiles of an image, and which of them is to find an object."""

import tensorflow as tf

# A box that comes so near to an edge inside the image counts as cut: of the overlap,
# and in pixels.
_EDGE, _LEAST = 1 / 8, 1.0
# An object that is no longer, of the overlap, keeps this distance in one of two tiles.
_WHOLE = 1 - 2 * _EDGE


def tile_corners(size: tf.Tensor, tile: tf.Tensor, overlap: float) -> tf.Tensor:
    """Returns the upper left corners of the tiles that cover an image.

    Along each axis there are as few as may be, spread evenly; the first and the last
    end at the image's borders.

    Args:
        size: int32 [2], (height, width) of the image in pixels.
        tile: int32 [2], of every tile, at most the image's.
        overlap: least share of a tile's side that neighbours have in common, below 1.

    Returns:
        int32 [T, 2], (y, x) in pixels, by row and by column.
    """
    steps = tf.maximum(
        tf.cast(tf.cast(tile, tf.float32) * (1.0 - overlap), tf.int32), 1
    )
    gaps = -(-(size - tile) // steps)  # Between the tiles of each axis.

    def along(axis):
        free = size[axis] - tile[axis]
        return tf.range(gaps[axis] + 1) * free // tf.maximum(gaps[axis], 1)

    ys, xs = tf.meshgrid(along(0), along(1), indexing="ij")
    return tf.stack([tf.reshape(ys, [-1]), tf.reshape(xs, [-1])], axis=1)


def is_uncut(
    boxes: tf.Tensor,
    corners: tf.Tensor,
    tile: tf.Tensor,
    size: tf.Tensor,
    overlap: float,
) -> tf.Tensor:
    """Tells which boxes lie inside their tile: no edge of it cuts them.

    An edge at the border of the image cuts nothing. Of an object that is not as long as
    `may_be_cut` says, one tile at least has an uncut box.

    Args:
        boxes: float32 [T, D, 4], found in each tile, in pixels of the image.
        corners: int32 [T, 2], upper left ones of the tiles.
        tile: int32 [2], (height, width) of the tiles in pixels.
        size: int32 [2], (height, width) of the image in pixels.
        overlap: share of a tile's side that neighbours have in common.

    Returns:
        bool [T, D].
    """
    margin = tf.maximum(_EDGE * overlap * tf.cast(tile, tf.float32), _LEAST)  # [2]
    start, end = corners[:, tf.newaxis], (corners + tile)[:, tf.newaxis]  # [T, 1, 2]
    after_start = (start <= 0) | (boxes[..., :2] >= tf.cast(start, tf.float32) + margin)
    before_end = (end >= size) | (boxes[..., 2:] <= tf.cast(end, tf.float32) - margin)
    return tf.reduce_all(after_start & before_end, axis=-1)


def may_be_cut(boxes: tf.Tensor, tile: tf.Tensor, overlap: float) -> tf.Tensor:
    """Tells which boxes are so long that every tile may cut them, bool [...].

    Args:
        boxes: float32 [..., 4], pixels.
        tile: int32 [2], (height, width) of the tiles in pixels.
        overlap: share of a tile's side that neighbours have in common.
    """
    longest = _WHOLE * overlap * tf.cast(tile, tf.float32)
    return tf.reduce_any(boxes[..., 2:] - boxes[..., :2] > longest, axis=-1)
