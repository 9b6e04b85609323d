"""The names of torchvision's MobileNetV3-Large: torchvision/models/mobilenetv3.py."""

from tf_frcnn.backbones.mobilenet_v3 import BLOCKS, STEM_CHANNELS
from tf_frcnn.checkpoints.layouts import (
    torch_batch_norm,
    torch_convolution,
    torch_depthwise,
)
from tf_frcnn.checkpoints.name_map import NameMap


def mobilenet_v3_large(name: str) -> NameMap:
    """Maps the backbone.

    Args:
        name: of the module that numbers the layers, in the original "features".
    """
    entries = _convolution("features0", f"{name}.0")
    channels = STEM_CHANNELS
    for index, block in enumerate(BLOCKS, start=1):
        has_expansion = block.inner != channels
        modules = ["expand"] * has_expansion + ["depthwise"]
        modules += ["squeeze"] * (block.squeezed > 0) + ["project"]
        for position, kind in enumerate(modules):
            layer, module = (
                f"features{index}_{kind}",
                f"{name}.{index}.block.{position}",
            )
            if kind == "squeeze":
                for own, there in (("reduce", "fc1"), ("expand", "fc2")):
                    weight = f"backbone/{layer}_{own}"
                    entries |= torch_convolution(weight, f"{module}.{there}")
            else:
                entries |= _convolution(layer, module, depthwise=kind == "depthwise")
        channels = block.outer
    last = len(BLOCKS) + 1
    return entries | _convolution(f"features{last}", f"{name}.{last}")


def _convolution(layer, module, *, depthwise=False):
    """Maps a convolution without bias and its normalisation."""
    weight, name = f"backbone/{layer}_conv", f"{module}.0"
    if depthwise:
        entries = torch_depthwise(weight, name)
    else:
        entries = torch_convolution(weight, name, has_bias=False)
    return entries | torch_batch_norm(f"backbone/{layer}_bn", f"{module}.1")
