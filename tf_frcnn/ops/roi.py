"""RoI pooling: a fixed-size piece of the feature map for each region of interest."""

import tensorflow as tf


def crop_pool(
    features: tf.Tensor,
    boxes: tf.Tensor,
    *,
    stride: int,
    pooled_size: int = 7,
    by_matmul: bool = False,
) -> tf.Tensor:
    """Crops 2S x 2S bilinear samples from corner to corner, then takes 2x2 maxima.

    A sample outside the map is 0.

    Args:
        features: float [B, h, w, C].
        boxes: float32 [B, R, 4], pixels of the network's input.
        stride: pixels per cell of the map; a corner y lies at cell y / stride.
        pooled_size: S.
        by_matmul: computes the samples by two matrix products, which XLA compiles;
            otherwise by `tf.image.crop_and_resize`, which is faster but has no XLA
            kernel. The results agree to float32 rounding.

    Returns:
        float [B, R, S, S, C], of the features' type.

    Source: tf-faster-rcnn:lib/nets/network.py, `_crop_pool_layer`.
    """
    # The image op finds no sample outside a map of one row or column.
    by_matmul = by_matmul or 1 in features.shape[1:3]
    crop = _crop_by_matmul if by_matmul else _crop_by_image_op
    cells = boxes / stride
    samples = crop(features, cells, 2 * pooled_size)
    pooled = tf.nn.max_pool2d(samples, 2, 2, "VALID")
    batch, num_rois = tf.shape(boxes)[0], boxes.shape[1] or tf.shape(boxes)[1]
    return tf.reshape(
        pooled, [batch, num_rois, pooled_size, pooled_size, features.shape[-1]]
    )


def _crop_by_image_op(features, cells, size):
    """Returns [B * R, size, size, C] samples at the corners and evenly between."""
    batch, num_rois = tf.shape(cells)[0], tf.shape(cells)[1]
    # The op counts in units of the map's last cell; a map of one cell has none.
    extent = tf.maximum(tf.cast(tf.shape(features)[1:3] - 1, tf.float32), 1.0)
    boxes = tf.reshape(cells / tf.tile(extent, [2]), [-1, 4])
    image_index = tf.repeat(tf.range(batch), num_rois)
    samples = tf.image.crop_and_resize(
        tf.cast(features, tf.float32), boxes, image_index, [size, size]
    )
    return tf.cast(samples, features.dtype)


def _crop_by_matmul(features, cells, size):
    rows = _sample_weights(cells[..., 0], cells[..., 2], tf.shape(features)[1], size)
    columns = _sample_weights(cells[..., 1], cells[..., 3], tf.shape(features)[2], size)
    rows, columns = tf.cast(rows, features.dtype), tf.cast(columns, features.dtype)
    samples = tf.einsum("brsh,bhwc->brswc", rows, features)
    samples = tf.einsum("brtw,brswc->brstc", columns, samples)
    return tf.reshape(samples, [-1, size, size, features.shape[-1]])


def _sample_weights(low, high, num_cells, size):
    """Returns float32 [B, R, size, num_cells]: bilinear weights of the samples."""
    steps = tf.cast(tf.range(size), tf.float32) / (size - 1)
    positions = low[..., tf.newaxis] + (high - low)[..., tf.newaxis] * steps
    cells = tf.cast(tf.range(num_cells), tf.float32)
    last = tf.cast(num_cells - 1, tf.float32)
    weights = tf.nn.relu(1.0 - tf.abs(positions[..., tf.newaxis] - cells))
    inside = (positions >= 0.0) & (positions <= last)
    return tf.where(inside[..., tf.newaxis], weights, 0.0)
