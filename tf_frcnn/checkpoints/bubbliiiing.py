"""faster-rcnn-pytorch (bubbliiiing): VGG16 and ResNet-50 on VOC.

Its thresholds are those of `frcnn.py`, which detects in images.
"""

from tf_frcnn.backbones.resnet import UNITS as RESNET_UNITS
from tf_frcnn.checkpoints.chainer_line import (
    MAX_PER_IMAGE,
    RESNET_FIRST,
    VGG16_FIRST,
    num_classes_of,
    rpn_and_predictor,
    vgg16_and_head,
)
from tf_frcnn.checkpoints.class_lists import VOC
from tf_frcnn.checkpoints.files import Checkpoint
from tf_frcnn.checkpoints.layouts import deltas_from_xywh
from tf_frcnn.checkpoints.name_map import NameMap
from tf_frcnn.checkpoints.source import Description, Source
from tf_frcnn.checkpoints.torch_resnet import resnet_stage, resnet_stem

_DETECTIONS = {
    "score_threshold": 0.5,
    "nms_iou": 0.3,
    "max_per_image": MAX_PER_IMAGE,
}
_VGG16 = {"base": "bubbliiiing_vgg16_voc0712", "detections": _DETECTIONS}
_RESNET50 = {
    "base": "bubbliiiing_resnet50_voc0712",
    "backbone": {"normalization": "frozen_batch"},
    "detections": _DETECTIONS,
}


def _describe(checkpoint: Checkpoint, variant: str | None) -> Description:
    is_resnet = RESNET_FIRST in checkpoint.arrays
    first = RESNET_FIRST if is_resnet else VGG16_FIRST
    num_classes = num_classes_of(checkpoint, first)
    backbone_and_head = _resnet50() if is_resnet else vgg16_and_head(2)
    return Description(
        settings=_RESNET50 if is_resnet else _VGG16,
        num_classes=num_classes,
        class_names=VOC if num_classes == len(VOC) else None,
        name_map=backbone_and_head | rpn_and_predictor(change=deltas_from_xywh),
        ignored=r"num_batches_tracked$",
        notes=(
            "Detections score above 0.5 at an IoU of 0.3, as where this program "
            "detects; for its mAP set detections.score_threshold to 0.02 and "
            "detections.nms_iou to 0.5 in config.yaml.",
        ),
    )


def _resnet50() -> NameMap:
    """Maps conv1 to conv4, which are modules of a sequence, and conv5 in the head."""
    entries = resnet_stem("backbone", "extractor.0", "extractor.1")
    for number, units in enumerate(RESNET_UNITS[50], start=2):
        is_tail = number == 5
        part = "box_head" if is_tail else "backbone"
        name = "head.classifier.0" if is_tail else f"extractor.{number + 2}"
        entries |= resnet_stage(part, number, name, units)
    return entries


SOURCE = Source(_describe)
