"""A backbone for tests: two convolutions, of which TensorFlow soon has a graph."""

import keras

from tf_frcnn.backbones import Backbone


def build(frozen_blocks: int = 0, normalization: str | None = None) -> keras.Model:
    """Builds float [B, H, W, 3] -> float [B, H / 16, W / 16, 32]."""
    images = features = keras.Input((None, None, 3), name="images")
    for number, channels in enumerate((16, 32), start=1):
        features = keras.layers.Conv2D(
            channels,
            5,
            4,
            padding="same",
            activation="relu",
            kernel_initializer="he_normal",
            trainable=number > frozen_blocks,
            name=f"convolution{number}",
        )(features)
    norm = keras.layers.GroupNormalization(8, name="features_norm")
    return keras.Model(images, norm(features), name="short")


SHORT = Backbone(build, strides=(16,), image_mode="unit", num_blocks=2)
