"""The five convolutions of the Zeiler-Fergus network.

Source: Zeiler and Fergus 2013; Ren et al. 2015, section 3;
    py-faster-rcnn:models/pascal_voc/ZF/faster_rcnn_end2end/test.prototxt.
"""

import keras

from tf_frcnn.layers.local_response_norm import LocalResponseNormalization
from tf_frcnn.layers.max_pooling import MaxPooling2D

# Channels, kernel size, and whether it has a stride, normalisation and pooling.
_CONVOLUTIONS = (
    (96, 7, True),
    (256, 5, True),
    (384, 3, False),
    (384, 3, False),
    (256, 3, False),
)


def zf(frozen_blocks: int = 0, normalization: str | None = None) -> keras.Model:
    """Builds the backbone: float [B, H, W, 3] -> float [B, h, w, 256] of stride 16.

    The map has as many rows and columns as H / 16 and W / 16 rounded up, or one more:
    caffe's pooling rounds up and pads as well.

    Args:
        frozen_blocks: convolutions, from the first, whose weights stay fixed.
        normalization: without effect; its normalisations have no weights.
    """
    images = features = keras.Input((None, None, 3), name="images")
    for number, (channels, size, halves_twice) in enumerate(_CONVOLUTIONS, start=1):
        features = keras.layers.ZeroPadding2D(size // 2, name=f"conv{number}_pad")(
            features
        )
        features = keras.layers.Conv2D(
            channels,
            size,
            2 if halves_twice else 1,
            activation="relu",
            kernel_initializer="he_normal",
            trainable=number > frozen_blocks,
            name=f"conv{number}",
        )(features)
        if halves_twice:
            features = LocalResponseNormalization(name=f"norm{number}")(features)
            features = _pool(features, f"pool{number}")
    return keras.Model(images, features, name="zf")


def _pool(features, name):
    """Takes the maximum of 3x3 cells at stride 2: a side n becomes n // 2 + 1.

    Caffe pads by 1 and rounds the size up, which equals a second row and column at the
    end. The pooled values are not negative, so the padding is never the largest.
    """
    padded = keras.layers.ZeroPadding2D(((1, 2), (1, 2)), name=f"{name}_pad")(features)
    return MaxPooling2D(3, 2, name=name)(padded)
