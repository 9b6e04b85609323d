"""The names of a ResNet of PyTorch, in the layout of torchvision's module."""

import re

import numpy as np

from tf_frcnn.backbones.resnet import UNITS
from tf_frcnn.checkpoints.files import Checkpoint, CheckpointError
from tf_frcnn.checkpoints.layouts import torch_batch_norm, torch_convolution
from tf_frcnn.checkpoints.name_map import NameMap

# The outputs and inputs of conv2 in the first unit.
_PLAIN = (64, 64)


def resnet_depth(checkpoint: Checkpoint, body: str = "") -> int | None:
    """Returns how many layers a ResNet has, 50, 101 or 152; None if there is none.

    Args:
        checkpoint: the file's contents.
        body: what stands before the names.

    Raises:
        CheckpointError: it is another ResNet, which is named.
    """
    arrays, other = checkpoint.arrays, None
    first = f"{body}layer1.0.conv"
    unit = re.compile(rf"{re.escape(body)}layer3\.(\d+)\.conv3\.weight")
    units = [int(found[1]) + 1 for found in map(unit.fullmatch, arrays) if found]
    depths = [d for d, counts in UNITS.items() if counts[2] == max(units, default=0)]
    if f"{first}1.weight" in arrays and f"{first}3.weight" not in arrays:
        other = "ResNet-18 or ResNet-34"
    elif arrays.get(f"{first}2.weight", np.zeros(_PLAIN)).shape[:2] != _PLAIN:
        other = "ResNeXt or Wide ResNet"
    elif units and not depths:
        other = f"ResNet with {max(units)} units in layer3"
    if other:
        raise CheckpointError(
            f"{checkpoint.path}: its backbone is a {other}, which is not known here; "
            f"known are the ResNets of {', '.join(map(str, UNITS))} layers."
        )
    return depths[0] if depths else None


def resnet_stem(part: str, conv: str, norm: str, **norms) -> NameMap:
    """Maps conv1 and its normalisation.

    Args:
        part: of the detector.
        conv, norm: names of the modules.
        norms: of `torch_batch_norm`.
    """
    return torch_convolution(f"{part}/conv1_conv", conv, has_bias=False) | (
        torch_batch_norm(f"{part}/conv1_bn", norm, **norms)
    )


def resnet_stage(part: str, number: int, name: str, units: int, **norms) -> NameMap:
    """Maps the bottleneck units of conv{number}.

    Args:
        part: of the detector.
        number: 2 to 5.
        name: of the module that holds the units, "layer1" for conv2.
        units: how many there are.
        norms: of `torch_batch_norm`.
    """
    entries: NameMap = {}
    for unit in range(units):
        weight, module = f"{part}/conv{number}_block{unit + 1}", f"{name}.{unit}"
        pairs = [(k, f"conv{k}", f"bn{k}") for k in (1, 2, 3)]
        if unit == 0:
            pairs.append((0, "downsample.0", "downsample.1"))
        for k, conv, norm in pairs:
            entries |= torch_convolution(
                f"{weight}_{k}_conv", f"{module}.{conv}", has_bias=False
            )
            entries |= torch_batch_norm(f"{weight}_{k}_bn", f"{module}.{norm}", **norms)
    return entries
