"""The names of a ResNet of PyTorch, in the layout of torchvision's module."""

from tf_frcnn.checkpoints.layouts import torch_batch_norm, torch_convolution
from tf_frcnn.checkpoints.name_map import NameMap


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
