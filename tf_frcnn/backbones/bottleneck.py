"""The residual unit of three convolutions, and stages of such units.

Source: He et al. 2015 (Deep residual learning), section 4.1 and figure 5.
"""

from typing import NamedTuple

import keras

from tf_frcnn.backbones.convolution import Style, convolve
from tf_frcnn.layers.max_pooling import MaxPooling2D

_PLACES = ("first_1x1", "first_3x3", "last_3x3")


class Stage(NamedTuple):
    """Bottleneck units that share one size of map.

    Attributes:
        units: number of units.
        inner: channels of the 3x3 convolutions.
        outer: output channels of a unit.
        stride: of the whole stage, 1 or 2.
        groups: of the 3x3 convolutions.
    """

    units: int
    inner: int
    outer: int
    stride: int = 2
    groups: int = 1


def bottleneck_stage(
    features, stage: Stage, *, stride_at: str, style: Style, trainable: bool, name: str
):
    """Applies the units of a stage: [B, h, w, C] -> [B, h', w', stage.outer].

    Args:
        features: symbolic float [B, h, w, C].
        stage: its sizes.
        stride_at: the convolution that has the stage's stride: "first_1x1" or
            "first_3x3", of the first unit, or "last_3x3", of the last one.
        style: of the network.
        trainable: whether the convolutions can learn.
        name: the units are `{name}_block1` and so on, named as in
            `keras.applications`.
    """
    if stride_at not in _PLACES:
        raise ValueError(
            f"stride_at = {stride_at!r} must be one of {', '.join(_PLACES)}."
        )
    strided_unit = stage.units if stride_at == "last_3x3" else 1
    for number in range(1, stage.units + 1):
        features = _unit(
            features,
            stage._replace(stride=stage.stride if number == strided_unit else 1),
            projected=number == 1,
            stride_in_3x3=stride_at != "first_1x1",
            style=style,
            trainable=trainable,
            name=f"{name}_block{number}",
        )
    return features


def _unit(features, stage, *, projected, stride_in_3x3, style, trainable, name):
    """Adds the output of three convolutions to the shortcut.

    The shortcut is a 1x1 convolution where `projected`, otherwise the input, every
    other cell of it with a stride.
    """
    common = {"style": style, "trainable": trainable}
    strides = (1, stage.stride) if stride_in_3x3 else (stage.stride, 1)
    shortcut = features
    if projected:
        shortcut = convolve(
            features, stage.outer, 1, stride=stage.stride, name=f"{name}_0", **common
        )
    elif stage.stride > 1:
        shortcut = MaxPooling2D(1, stage.stride, name=f"{name}_0_pool")(features)
    found = convolve(
        features, stage.inner, 1, stride=strides[0], name=f"{name}_1", **common
    )
    found = keras.layers.ReLU(name=f"{name}_1_relu")(found)
    found = convolve(
        found,
        stage.inner,
        3,
        stride=strides[1],
        groups=stage.groups,
        name=f"{name}_2",
        **common,
    )
    found = keras.layers.ReLU(name=f"{name}_2_relu")(found)
    found = convolve(found, stage.outer, 1, name=f"{name}_3", **common)
    total = keras.layers.Add(name=f"{name}_add")([shortcut, found])
    return keras.layers.ReLU(name=f"{name}_out")(total)
