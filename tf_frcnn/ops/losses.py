"""The losses of both stages; every reduction leaves out rows labelled -1."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def smooth_l1(differences: tf.Tensor, *, sigma: float | None = 1.0) -> tf.Tensor:
    """Computes 0.5 (sigma x)^2 below |x| = 1 / sigma^2 and |x| - 0.5 / sigma^2 above.

    Args:
        differences: float32 [...].
        sigma: where the parabola turns into a line; sigma 3 equals beta 1/9. None for
            the line alone, |x|.

    Returns:
        float32 [...].

    Source: Girshick 2015, equation 3; sigma: py-faster-rcnn.
    """
    magnitude = tf.abs(differences)
    if sigma is None:
        return magnitude
    beta = 1.0 / (sigma * sigma)
    parabola = 0.5 * (sigma * sigma) * tf.square(differences)
    return tf.where(magnitude < beta, parabola, magnitude - 0.5 * beta)


def classification_losses(
    logits: tf.Tensor,
    labels: tf.Tensor,
    *,
    focal: tuple[float, float] | None = None,
    label_smoothing: float = 0.0,
) -> tf.Tensor:
    """Computes the cross entropy of every row, or its focal form.

    Focal loss is -a (1 - p)^gamma log p, where p is the probability of the row's label
    and a is alpha for objects and 1 - alpha for background.

    Args:
        logits: float32 [B, N, V]; softmax over V values, or with V = 1 a sigmoid.
        labels: int32 [B, N]; 0..V-1 (0 or 1 for the sigmoid), -1 rows do not count.
        focal: (alpha, gamma); None gives the cross entropy.
        label_smoothing: share of the softmax's target that is spread evenly over all V
            values; not with V = 1, nor with `focal`.

    Returns:
        float32 [B, N]; 0 in rows that do not count.

    Source: Ren et al. 2015, equation 1; Lin et al. 2017 (focal loss), equation 5;
        Szegedy et al. 2016, section 7, for smoothed labels.
    """
    targets = tf.maximum(labels, 0)
    if logits.shape[-1] == 1:
        entropy = tf.nn.sigmoid_cross_entropy_with_logits(
            tf.cast(targets, logits.dtype), logits[..., 0]
        )
    elif label_smoothing:
        even = label_smoothing / logits.shape[-1]
        entropy = tf.nn.softmax_cross_entropy_with_logits(
            tf.one_hot(
                *(targets, logits.shape[-1]),
                on_value=1.0 - label_smoothing + even,
                off_value=even,
            ),
            logits,
        )
    else:
        entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
    if focal is not None:
        alpha, gamma = focal
        # 1 - exp(-entropy) without the loss of digits near 0; the gradient of a power
        # below 1 is infinite there.
        missing = tf.maximum(-tf.math.expm1(-entropy), 1e-12)
        entropy *= tf.where(labels > 0, alpha, 1.0 - alpha) * tf.pow(missing, gamma)
    return tf.where(labels >= 0, entropy, 0.0)


def box_losses(
    pred_deltas: tf.Tensor,
    target_deltas: tf.Tensor,
    labels: tf.Tensor,
    *,
    sigma: float | None = 1.0,
) -> tf.Tensor:
    """Sums smooth L1 over the four deltas of every object row.

    Args:
        pred_deltas: float32 [B, N, 4].
        target_deltas: float32 [B, N, 4].
        labels: int32 [B, N]; above 0 object, 0 background, -1 not counted.
        sigma: of `smooth_l1`.

    Returns:
        float32 [B, N]; 0 in rows that are not objects.
    """
    rows = tf.reduce_sum(smooth_l1(pred_deltas - target_deltas, sigma=sigma), axis=-1)
    return tf.where(labels > 0, rows, 0.0)


def classification_loss(
    logits: tf.Tensor,
    labels: tf.Tensor,
    weights: tf.Tensor | None = None,
    *,
    losses: Callable[..., tf.Tensor] = classification_losses,
    **settings: Any,
) -> tf.Tensor:
    """Averages the losses of an image's labelled rows, and then those of the images.

    Args:
        logits, labels: of `classification_losses`.
        weights: float32 [B], of the images; None for 1.
        losses: `losses(logits, labels, **settings)` gives float32 [B, N].
        **settings: further arguments of `losses`.

    Returns:
        float32 scalar; 0 where no row counts.

    Source: tf-faster-rcnn, simple-faster-rcnn-pytorch and torchvision, whose divisor is
        the number of sampled rows; of several images faster-rcnn-pytorch
        (bubbliiiing) takes the mean, while torchvision divides by the rows of all.
    """
    return _mean(losses(logits, labels, **settings), labels >= 0, weights)


def box_loss(
    pred_deltas: tf.Tensor,
    target_deltas: tf.Tensor,
    labels: tf.Tensor,
    weights: tf.Tensor | None = None,
    *,
    divisor: str = "sampled",
    losses: Callable[..., tf.Tensor] = box_losses,
    **settings: Any,
) -> tf.Tensor:
    """Sums an image's losses, divides by a count of rows, averages the images.

    Args:
        pred_deltas, target_deltas, labels: of `box_losses`.
        weights: float32 [B], of the images; None for 1.
        divisor: "sampled" counts objects and background, "objects" only the objects.
        losses: `losses(pred_deltas, target_deltas, labels, **settings)` gives float32
            [B, N].
        **settings: further arguments of `losses`.

    Returns:
        float32 scalar; 0 where no row counts.

    Source: tf-faster-rcnn:lib/nets/network.py, `_smooth_l1_loss`, whose outside
        weights are 1 / (number of sampled rows); "objects": faster-rcnn-pytorch
        (bubbliiiing).
    """
    rows = losses(pred_deltas, target_deltas, labels, **settings)
    is_counted = labels >= 0 if divisor == "sampled" else labels > 0
    return _mean(rows, is_counted, weights)


def _mean(losses, is_counted, weights):
    counts = tf.math.count_nonzero(is_counted, axis=1, dtype=losses.dtype)
    of_images = tf.math.divide_no_nan(tf.reduce_sum(losses, axis=1), counts)
    return tf.reduce_mean(of_images if weights is None else weights * of_images)
