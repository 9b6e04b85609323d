"""The losses of both stages; every reduction leaves out rows labelled -1."""

import tensorflow as tf


def smooth_l1(differences: tf.Tensor, *, sigma: float = 1.0) -> tf.Tensor:
    """Computes 0.5 (sigma x)^2 below |x| = 1 / sigma^2 and |x| - 0.5 / sigma^2 above.

    Args:
        differences: float32 [...].
        sigma: where the parabola turns into a line; sigma 3 equals beta 1/9.

    Returns:
        float32 [...].

    Source: Girshick 2015, equation 3; sigma: py-faster-rcnn.
    """
    magnitude = tf.abs(differences)
    beta = 1.0 / (sigma * sigma)
    parabola = 0.5 * (sigma * sigma) * tf.square(differences)
    return tf.where(magnitude < beta, parabola, magnitude - 0.5 * beta)


def classification_loss(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Averages the cross entropy over all rows that are labelled.

    Args:
        logits: float32 [B, N, V]; softmax over V values, or with V = 1 a sigmoid.
        labels: int32 [B, N]; 0..V-1 (0 or 1 for the sigmoid), -1 rows do not count.

    Returns:
        float32 scalar; 0 where no row counts.

    Source: Ren et al. 2015, equation 1, with the divisor of tf-faster-rcnn,
        simple-faster-rcnn-pytorch and torchvision: the sampled rows.
    """
    targets = tf.maximum(labels, 0)
    if logits.shape[-1] == 1:
        entropy = tf.nn.sigmoid_cross_entropy_with_logits(
            tf.cast(targets, logits.dtype), logits[..., 0]
        )
    else:
        entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
    return _mean_over(entropy, labels >= 0, labels >= 0)


def box_loss(
    pred_deltas: tf.Tensor,
    target_deltas: tf.Tensor,
    labels: tf.Tensor,
    *,
    sigma: float = 1.0,
) -> tf.Tensor:
    """Sums smooth L1 over object rows and divides by the number of labelled rows.

    Args:
        pred_deltas: float32 [B, N, 4].
        target_deltas: float32 [B, N, 4].
        labels: int32 [B, N]; above 0 object, 0 background, -1 not counted.
        sigma: of `smooth_l1`.

    Returns:
        float32 scalar; 0 where no row counts.

    Source: tf-faster-rcnn:lib/nets/network.py, `_smooth_l1_loss`, whose outside
        weights are 1 / (number of sampled rows).
    """
    rows = tf.reduce_sum(smooth_l1(pred_deltas - target_deltas, sigma=sigma), axis=-1)
    return _mean_over(rows, labels > 0, labels >= 0)


def _mean_over(values, summed, counted):
    """Sums `values` where `summed` and divides by the count of `counted`."""
    total = tf.reduce_sum(tf.where(summed, values, 0.0))
    count = tf.math.count_nonzero(counted, dtype=values.dtype)
    return tf.math.divide_no_nan(total, count)
