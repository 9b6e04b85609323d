"""The variables of tf-slim's networks, as checkpoints of TensorFlow 1 name them.

Kernels have Keras's layout. Source: tensorflow/models:research/slim/nets (vgg.py,
resnet_v1.py, mobilenet_v1.py).
"""

import numpy as np

from tf_frcnn.backbones.resnet import UNITS as RESNET_UNITS
from tf_frcnn.checkpoints.name_map import NameMap, Taken

_VGG16_CONVOLUTIONS = (2, 2, 3, 3, 3)
_MOBILENET_SEPARABLE = 13
_MOBILENET_BACKBONE = 11


def slim_layer(weight: str, scope: str, *, change=np.asarray) -> NameMap:
    """Maps a convolution or fully connected layer with a bias.

    Args:
        weight: "part/layer".
        scope: of its variables.
        change: of the outputs of kernel and bias, the last axis.
    """
    return {
        f"{weight}/kernel": Taken((f"{scope}/weights",), change),
        f"{weight}/bias": Taken((f"{scope}/biases",), change),
    }


def slim_normalized(
    conv: str, norm: str, scope: str, *, kernel: str = "weights"
) -> NameMap:
    """Maps a convolution without bias and its batch normalisation.

    Args:
        conv, norm: "part/layer" of either.
        scope: of their variables.
        kernel: name of the convolution's only variable.
    """
    statistics = ("gamma", "beta", "moving_mean", "moving_variance")
    return {f"{conv}/kernel": Taken((f"{scope}/{kernel}",))} | {
        f"{norm}/{name}": Taken((f"{scope}/BatchNorm/{name}",)) for name in statistics
    }


def slim_vgg16(scope: str) -> NameMap:
    """Maps the 13 convolutions of VGG16."""
    entries: NameMap = {}
    for block, count in enumerate(_VGG16_CONVOLUTIONS, start=1):
        for number in range(1, count + 1):
            entries |= slim_layer(
                f"backbone/block{block}_conv{number}",
                f"{scope}/conv{block}/conv{block}_{number}",
            )
    return entries


def slim_resnet(scope: str, num_layers: int) -> NameMap:
    """Maps conv1 to conv4 of a ResNet, and conv5 as the box head."""
    entries = slim_normalized(
        "backbone/conv1_conv", "backbone/conv1_bn", f"{scope}/conv1"
    )
    for block, units in enumerate(RESNET_UNITS[num_layers], start=1):
        part = "box_head" if block == 4 else "backbone"
        for unit in range(1, units + 1):
            weight = f"{part}/conv{block + 1}_block{unit}"
            module = f"{scope}/block{block}/unit_{unit}/bottleneck_v1"
            pairs = [(number, f"conv{number}") for number in (1, 2, 3)]
            if unit == 1:
                pairs.append((0, "shortcut"))
            for number, name in pairs:
                layer = f"{weight}_{number}"
                entries |= slim_normalized(
                    f"{layer}_conv", f"{layer}_bn", f"{module}/{name}"
                )
    return entries


def slim_mobilenet(scope: str) -> NameMap:
    """Maps a MobileNet v1, its last two separable convolutions as the box head."""
    entries = slim_normalized(
        "backbone/conv1", "backbone/conv1_bn", f"{scope}/Conv2d_0"
    )
    for number in range(1, _MOBILENET_SEPARABLE + 1):
        part = "backbone" if number <= _MOBILENET_BACKBONE else "box_head"
        module = f"{scope}/Conv2d_{number}"
        depthwise, pointwise = (f"{part}/conv_{kind}_{number}" for kind in ("dw", "pw"))
        entries |= slim_normalized(
            depthwise,
            f"{depthwise}_bn",
            f"{module}_depthwise",
            kernel="depthwise_weights",
        )
        entries |= slim_normalized(pointwise, f"{pointwise}_bn", f"{module}_pointwise")
    return entries
