"""The normalisation that follows a convolution without a bias."""

import keras

_MAX_GROUPS = 32


def normalization_layer(
    normalization: str, channels: int, *, name: str, **settings
) -> keras.layers.Layer:
    """Returns the layer of a kind of normalisation.

    Args:
        normalization: "frozen_batch", batch normalisation with the statistics and
            scales of the pretrained weights, all fixed; or "group", group
            normalisation, with which a network trains from random weights.
        channels: of what is normalised.
        name: the layer is `{name}_bn` or `{name}_gn`.
        settings: further arguments of the layer; batch normalisation never learns.

    Source: Wu and He 2018 (group normalisation); He et al. 2018 (Rethinking ImageNet
        pre-training), section 3.1.
    """
    if normalization == "frozen_batch":
        settings = settings | {"trainable": False}
        return keras.layers.BatchNormalization(name=f"{name}_bn", **settings)
    if normalization == "group":
        groups = max(n for n in range(1, _MAX_GROUPS + 1) if channels % n == 0)
        return keras.layers.GroupNormalization(groups, name=f"{name}_gn", **settings)
    raise ValueError(
        f"normalization = {normalization!r} must be frozen_batch or group."
    )
