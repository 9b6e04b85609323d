"""The names of VGG16's convolutions in PyTorch, in the layout of torchvision's module.

Source: torchvision:models/vgg.py.
"""

from tf_frcnn.checkpoints.layouts import torch_convolution
from tf_frcnn.checkpoints.name_map import NameMap

# Block by block, the places of the convolutions among activations and poolings.
_PLACES = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))


def vgg16_backbone(name: str) -> NameMap:
    """Maps the 13 convolutions of VGG16.

    Args:
        name: of the module that holds them, such as "features".
    """
    entries: NameMap = {}
    for block, places in enumerate(_PLACES, start=1):
        for number, place in enumerate(places, start=1):
            weight = f"backbone/block{block}_conv{number}"
            entries |= torch_convolution(weight, f"{name}.{place}")
    return entries
