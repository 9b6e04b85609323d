"""torchvision's Faster R-CNNs: torchvision/models/detection/faster_rcnn.py.

The four that are published, and those of `resnet_fpn_backbone` with a deeper ResNet.
State dicts of any version; before 0.13 two kinds of modules had shorter names. The
file published for `fasterrcnn_resnet50_fpn`, and whatever was trained from it, has
batch normalisation with epsilon 0.
"""

import re
from dataclasses import replace

from tf_frcnn.backbones.resnet import UNITS as RESNET_UNITS
from tf_frcnn.checkpoints.class_lists import COCO_BY_ID
from tf_frcnn.checkpoints.files import Checkpoint, CheckpointError
from tf_frcnn.checkpoints.layouts import (
    deltas_from_xywh,
    torch_batch_norm,
    torch_convolution,
    torch_dense,
)
from tf_frcnn.checkpoints.name_map import NameMap
from tf_frcnn.checkpoints.source import (
    Description,
    Source,
    not_of_this_source,
    require_agreement,
    undecided,
)
from tf_frcnn.checkpoints.torch_mobilenet_v3 import mobilenet_v3_large
from tf_frcnn.checkpoints.torch_resnet import (
    resnet_depth,
    resnet_stage,
    resnet_stem,
)

RESNET, RESNET_COCO = "fasterrcnn_resnet50_fpn", "fasterrcnn_resnet50_fpn_coco_v1"
RESNET_V2 = "fasterrcnn_resnet50_fpn_v2"
MOBILENET = "fasterrcnn_mobilenet_v3_large_fpn"
MOBILENET_320 = "fasterrcnn_mobilenet_v3_large_320_fpn"
# The published files, whose names end in the first digits of their SHA-256.
FILES = {
    RESNET_COCO: "fasterrcnn_resnet50_fpn_coco-258fb6c6.pth",
    RESNET_V2: "fasterrcnn_resnet50_fpn_v2_coco-dd69338a.pth",
    MOBILENET: "fasterrcnn_mobilenet_v3_large_fpn-fb6a3cc7.pth",
    MOBILENET_320: "fasterrcnn_mobilenet_v3_large_320_fpn-907ea3f9.pth",
}
_SHORTER_NAMES = (
    (re.compile(r"^(backbone\.fpn\.(?:inner|layer)_blocks\.\d)\.(weight|bias)$"), ".0"),
    (re.compile(r"^(rpn\.head\.conv)\.(weight|bias)$"), ".0.0"),
)
# By variant, the recipe, and the blocks that its training fixes.
_RECIPES = {
    RESNET: ("torchvision_resnet50_fpn", 2),
    RESNET_COCO: ("torchvision_resnet50_fpn", 2),
    RESNET_V2: ("torchvision_resnet50_fpn_v2", 2),
    MOBILENET: ("torchvision_mobilenet_v3_large_fpn", 3),
    MOBILENET_320: ("torchvision_mobilenet_v3_large_320_fpn", 3),
}


def _describe(checkpoint: Checkpoint, variant: str | None) -> Description:
    logits = checkpoint.arrays.get("roi_heads.box_predictor.cls_score.weight")
    if logits is None:
        raise not_of_this_source(checkpoint, "roi_heads.box_predictor.cls_score.weight")
    chosen, notes = _variant(checkpoint, variant)
    num_classes = len(logits) - 1
    depth = 50
    if chosen not in (MOBILENET, MOBILENET_320):
        depth = resnet_depth(checkpoint, "backbone.body.") or depth
    if chosen == RESNET_V2 and depth != 50:
        raise CheckpointError(
            f"{checkpoint.path}: a ResNet-{depth} with a normalised pyramid, as of "
            "fasterrcnn_resnet50_fpn_v2; only its ResNet-50 is known here."
        )
    backbone = {} if depth == 50 else {"name": f"resnet{depth}_fpn"}
    return Description(
        settings=settings_of(chosen, **backbone),
        num_classes=num_classes,
        class_names=COCO_BY_ID if num_classes == len(COCO_BY_ID) else None,
        name_map=_in_this_version(_name_map(chosen, depth), checkpoint.arrays),
        ignored=r"num_batches_tracked$",
        notes=notes,
    )


def _variant(checkpoint, given):
    """Returns which of the detectors a file holds, and what that rests on."""
    for variant, file in FILES.items():
        if checkpoint.sha256.startswith(digits_of(file)):
            require_agreement(checkpoint, given, variant)
            return variant, ()
    if given:
        return given, ()
    arrays = checkpoint.arrays
    if "roi_heads.box_head.0.0.weight" in arrays:
        return RESNET_V2, ()
    if "backbone.body.layer1.0.conv1.weight" in arrays:
        note = f"epsilon 1e-5; a file trained from COCO weights has 0 ({RESNET_COCO})"
        has_frozen_norms = "backbone.body.bn1.num_batches_tracked" not in arrays
        notes = (f"Taken as {RESNET}, batch norm {note}.",) if has_frozen_norms else ()
        return RESNET, notes
    for variant in (MOBILENET, MOBILENET_320):
        if variant in checkpoint.path.name:
            return variant, (f"Taken as {variant}, by the name of the file.",)
    raise undecided(checkpoint, "the size of its images", (MOBILENET, MOBILENET_320))


def digits_of(file: str) -> str:
    """Returns the digits that the name of one of PyTorch's published files ends in."""
    return file.removesuffix(".pth").rpartition("-")[2]


def settings_of(variant: str, **backbone: str) -> dict[str, dict | str]:
    """Returns the settings of one of the detectors, its recipe as `base`.

    The batch normalisations of a file are used as they are; from random weights, as the
    recipe starts, they could not be.

    Args:
        variant: one of the source's.
        backbone: its settings that differ.
    """
    recipe, frozen_blocks = _RECIPES[variant]
    own = {"normalization": "frozen_batch", "frozen_blocks": frozen_blocks}
    return {"base": recipe, "backbone": own | backbone}


def _name_map(variant, depth) -> NameMap:
    if variant in (MOBILENET, MOBILENET_320):
        body, first_level, num_levels = mobilenet_v3_large("backbone.body"), 5, 2
    else:
        epsilon = 0.0 if variant == RESNET_COCO else 1e-5
        body, first_level, num_levels = _resnet(depth, epsilon), 2, 4
    has_norms = variant == RESNET_V2
    entries = body | _pyramid(first_level, num_levels, has_norms)
    entries |= torch_convolution("rpn_head/conv", "rpn.head.conv.0.0")
    if has_norms:
        entries |= torch_convolution("rpn_head/conv1", "rpn.head.conv.1.0")
        for n in range(4):
            weight, name = f"box_head/head_conv{n + 1}", f"roi_heads.box_head.{n}"
            entries |= _convolution_and_norm(f"{weight}_conv", f"{weight}_bn", name)
        entries |= torch_dense("box_head/fc6", "roi_heads.box_head.5", pooled=7)
    else:
        entries |= torch_dense("box_head/fc6", "roi_heads.box_head.fc6", pooled=7)
        entries |= torch_dense("box_head/fc7", "roi_heads.box_head.fc7")
    predictor = "roi_heads.box_predictor"
    return (
        entries
        | torch_convolution("rpn_head/scores", "rpn.head.cls_logits")
        | torch_convolution(
            "rpn_head/deltas", "rpn.head.bbox_pred", change=deltas_from_xywh
        )
        | torch_dense("box_predictor/logits", f"{predictor}.cls_score")
        | torch_dense(
            "box_predictor/deltas", f"{predictor}.bbox_pred", change=deltas_from_xywh
        )
    )


def _resnet(depth, epsilon):
    body, norms = "backbone.body", {"epsilon": epsilon}
    entries = resnet_stem("backbone", f"{body}.conv1", f"{body}.bn1", **norms)
    for number, units in enumerate(RESNET_UNITS[depth], start=2):
        name = f"{body}.layer{number - 1}"
        entries |= resnet_stage("backbone", number, name, units, **norms)
    return entries


def _pyramid(first_level, num_levels, has_norms):
    entries: NameMap = {}
    for n in range(num_levels):
        for own, module in (("lateral", "inner"), ("output", "layer")):
            weight = f"backbone/fpn_{own}{first_level + n}"
            name = f"backbone.fpn.{module}_blocks.{n}"
            if has_norms:
                entries |= _convolution_and_norm(weight, f"{weight}_bn", name)
            else:
                entries |= torch_convolution(weight, f"{name}.0")
    return entries


def _convolution_and_norm(convolution, norm, name):
    return torch_convolution(convolution, f"{name}.0", has_bias=False) | (
        torch_batch_norm(norm, f"{name}.1")
    )


def _in_this_version(name_map, arrays) -> NameMap:
    """Returns the map with the shorter names of old versions, where the file has them.

    The map has the longer names, in which the place of an activation is counted.
    """

    def in_file(name):
        if name in arrays:
            return name
        for pattern, place in _SHORTER_NAMES:
            stem, _, variable = name.rpartition(".")
            shorter = f"{stem.removesuffix(place)}.{variable}"
            if stem.endswith(place) and pattern.match(shorter) and shorter in arrays:
                return shorter
        return name

    return {
        weight: replace(taken, names=tuple(map(in_file, taken.names)))
        for weight, taken in name_map.items()
    }


SOURCE = Source(_describe, (RESNET, RESNET_COCO, RESNET_V2, MOBILENET, MOBILENET_320))
