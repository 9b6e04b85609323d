"""Balanced random samples of anchors and RoIs, by ranking random keys.

The caller passes the keys, so a test can pass keys that make the choice certain.
"""

import tensorflow as tf

# Numbers of 32 bits that the generator makes at a time, and its number in TensorFlow.
_BLOCK, _PHILOX = 4, 1


def random_keys(shape: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Draws uniform float32 keys, a pure function of the seed.

    Args:
        shape: int32 [n] of the result, first the number of images.
        seed: int64 [3]: a key, of which XLA takes 32 bits; the step; and the place of
            the first image in the whole batch. An image's keys follow from its place,
            however the batch is divided among devices and steps.

    Returns:
        float32 of `shape`, in [0, 1).

    Source: Salmon et al. 2011 (Philox), whose counter is moved to the place.
    """
    shape = tf.convert_to_tensor(shape, tf.int32)
    num_keys = tf.reduce_prod(shape[1:])
    num_blocks = -(-num_keys // _BLOCK)
    key, counter = tf.raw_ops.StatelessRandomGetKeyCounter(seed=seed[:2])
    first = tf.cast(seed[2] * tf.cast(num_blocks, tf.int64), tf.uint64)
    bits = tf.raw_ops.StatelessRandomUniformFullIntV2(
        shape=tf.stack([shape[0], num_blocks * _BLOCK]),
        key=key,
        counter=tf.stack([counter[0] + first, counter[1]]),
        alg=_PHILOX,
        dtype=tf.uint32,
    )
    bits = tf.reshape(bits[:, :num_keys], shape)
    # XLA makes floats from other bits than the CPU kernel; the bits are the same.
    return tf.cast(tf.bitwise.right_shift(bits, 8), tf.float32) * 2.0**-24


def sample_anchors(
    labels: tf.Tensor,
    keys: tf.Tensor,
    *,
    num_samples: int = 256,
    positive_fraction: float = 0.5,
) -> tf.Tensor:
    """Keeps a balanced sample of the labelled anchors; the rest become -1.

    At most `positive_fraction` of the sample is positive; negatives fill it up.

    Args:
        labels: int32 [B, N]; 1, 0 or -1.
        keys: float32 [B, N]; the smallest are taken first.
        num_samples: anchors per image.
        positive_fraction: in (0, 1].

    Returns:
        int32 [B, N]; 1, 0 or -1.

    Source: Ren et al. 2015, section 3.1.3.
    """
    most_positive = int(num_samples * positive_fraction)
    positive = _take(labels == 1, keys, most_positive, most_positive)
    num_positive = tf.math.count_nonzero(positive, 1, keepdims=True, dtype=tf.int32)
    negative = _take(labels == 0, keys, num_samples, num_samples - num_positive)
    return tf.where(positive, 1, tf.where(negative, 0, -1))


def sample_rois(
    foreground: tf.Tensor,
    background: tf.Tensor,
    keys: tf.Tensor,
    *,
    num_samples: int = 128,
    foreground_fraction: float = 0.25,
    fill_with_repeats: bool = False,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Chooses RoIs: foreground first, then background.

    Args:
        foreground: bool [B, P], candidates for foreground.
        background: bool [B, P], candidates for background; disjoint from foreground.
        keys: float32 [B, P]; the smallest are taken first.
        num_samples: R.
        foreground_fraction: largest share of foreground, in (0, 1].
        fill_with_repeats: candidates are repeated until R rows are full, and the share
            is ignored where one kind is missing, as tf-faster-rcnn does.

    Returns:
        index: int32 [B, R], rows of the candidates.
        valid: bool [B, R], False in rows for which there was no candidate.

    Source: Girshick 2015, section 2.3; tf-faster-rcnn:lib/layer_utils/
        proposal_target_layer.py for `fill_with_repeats`.
    """
    num_foreground = tf.math.count_nonzero(foreground, 1, keepdims=True, dtype=tf.int32)
    num_background = tf.math.count_nonzero(background, 1, keepdims=True, dtype=tf.int32)
    limit = round(num_samples * foreground_fraction)
    take_foreground = tf.minimum(num_foreground, limit)
    if fill_with_repeats:
        only_foreground = (num_background == 0) & (num_foreground > 0)
        take_foreground = tf.where(only_foreground, num_samples, take_foreground)

    row = tf.range(num_samples)[tf.newaxis]
    from_foreground = row < take_foreground
    background_row = row - take_foreground
    valid = from_foreground | (background_row < num_background)
    if fill_with_repeats:
        valid = from_foreground | (num_background > 0)
    index = tf.where(
        from_foreground,
        _nth(foreground, keys, row, num_foreground),
        _nth(background, keys, background_row, num_background),
    )
    return index, valid


def _order(candidates, keys):
    """Returns int32 [B, N], candidates first, in the order of their keys."""
    return tf.argsort(tf.where(candidates, keys, keys.dtype.max), stable=True)


def _take(candidates, keys, most, count):
    """Returns bool [B, N], the `count` first candidates in the order of their keys.

    Args:
        candidates: bool [B, N].
        keys: float32 [B, N], not negative; of equal ones the first comes first.
        most: int, of which `count` is never more.
        count: int, or int32 [B, 1].
    """
    num_rows = tf.shape(keys)[1]
    # The bits of floats that are not negative order as they do; no two places tie.
    order = tf.cast(tf.bitcast(keys, tf.int32), tf.int64) * tf.int32.max
    order = -order - tf.range(tf.cast(num_rows, tf.int64))
    order = tf.where(candidates, order, -tf.int64.max)
    first = tf.math.top_k(order, tf.minimum(most, num_rows)).values
    has_place = tf.range(tf.shape(first)[1])[tf.newaxis] < count
    # The maximum of the negatives: on GPUs TensorFlow has no minimum of int64.
    worst = tf.reduce_max(tf.where(has_place, -first, -tf.int64.max), 1, keepdims=True)
    worst = tf.maximum(worst, -tf.int64.max)  # There may be no place at all.
    return candidates & (order >= -worst)


def _nth(candidates, keys, row, count):
    """Returns int32 [B, R], the candidates number `row`, counted round `count`."""
    row = tf.math.floormod(row, tf.maximum(count, 1))
    return tf.gather(_order(candidates, keys), row, batch_dims=1)
