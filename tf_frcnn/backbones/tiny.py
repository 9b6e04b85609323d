"""A small backbone that trains from random weights on a CPU."""

import keras

_STAGES = (24, 48, 96, 128)


def tiny(frozen_blocks: int = 0, normalization: str | None = None) -> keras.Model:
    """Builds the backbone: float [B, H, W, 3] -> float [B, H / 16, W / 16, 128].

    Four stages halve the map by a strided 3x3 convolution; from the second on, a
    residual 3x3 convolution follows. Group normalisation is used because batches are
    too small for batch statistics and images must not depend on each other.

    Args:
        frozen_blocks: stages, from the first, whose weights stay fixed.
        normalization: without effect; it is always group normalisation.
    """
    images = features = keras.Input((None, None, 3), name="images")
    for stage, channels in enumerate(_STAGES, start=1):
        trainable = stage > frozen_blocks
        features = _unit(features, channels, 2, f"stage{stage}_down", trainable)
        if stage > 1:
            residual = _unit(features, channels, 1, f"stage{stage}_conv", trainable)
            features = keras.layers.Add(name=f"stage{stage}_add")([features, residual])
    # Features of zero mean: an all-positive input lets the many background RoIs push
    # every ReLU of a random box head below zero within a few steps.
    norm = keras.layers.GroupNormalization(
        8, trainable=frozen_blocks < len(_STAGES), name="features_norm"
    )
    return keras.Model(images, norm(features), name="tiny")


def _unit(features, channels, strides, name, trainable):
    """Applies a 3x3 convolution, group normalisation and ReLU."""
    features = keras.layers.Conv2D(
        channels,
        3,
        strides,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        trainable=trainable,
        name=name,
    )(features)
    features = keras.layers.GroupNormalization(
        8, trainable=trainable, name=f"{name}_norm"
    )(features)
    return keras.layers.ReLU(name=f"{name}_relu")(features)
