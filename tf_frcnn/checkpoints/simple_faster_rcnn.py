"""simple-faster-rcnn-pytorch (chenyuntc): VGG16 on VOC.

Its trainer writes the weights with its settings beside them, among which
`caffe_pretrain` tells how images are normalised. The weights that were converted from
ChainerCV's come alone, and are of the caffe kind.
"""

from tf_frcnn.checkpoints.chainer_line import (
    MAX_PER_IMAGE,
    VGG16_FIRST,
    num_classes_of,
    rpn_and_predictor,
    vgg16_and_head,
)
from tf_frcnn.checkpoints.class_lists import VOC
from tf_frcnn.checkpoints.files import Checkpoint
from tf_frcnn.checkpoints.source import (
    Description,
    Source,
    require_agreement,
    undecided,
)

_CAFFE, _TORCHVISION = "caffe", "torchvision"
_IMAGE_MODES = {_CAFFE: "chainer", _TORCHVISION: "torch"}
# Of the classifier, with the modules that drop out counted.
_FC7_BEHIND_DROPOUT = "head.classifier.3.weight"
RECIPE = "simple_faster_rcnn_vgg16_voc07"


def _describe(checkpoint: Checkpoint, variant: str | None) -> Description:
    num_classes = num_classes_of(checkpoint, VGG16_FIRST)
    image_mode = _IMAGE_MODES[_variant(checkpoint, variant)]
    drops = _FC7_BEHIND_DROPOUT in checkpoint.arrays
    settings = {
        "base": RECIPE,
        "images": {"mode": image_mode},
        "backbone": {"weights": "random"},
        "roi": {"dropout": 0.5 if drops else 0.0},
        "detections": {"max_per_image": MAX_PER_IMAGE},
    }
    return Description(
        settings=settings,
        num_classes=num_classes,
        class_names=VOC if num_classes == len(VOC) else None,
        name_map=vgg16_and_head(3 if drops else 2) | rpn_and_predictor(),
        notes=(
            "Detections score above 0.05, as where this program evaluates; where it "
            "draws, above 0.7: set detections.score_threshold in config.yaml.",
        ),
    )


def _variant(checkpoint, given):
    config = checkpoint.settings.get("config")
    if not isinstance(config, dict) or "caffe_pretrain" not in config:
        if given is None:
            what = "how its images are normalised"
            raise undecided(checkpoint, what, _IMAGE_MODES)
        return given
    told = _CAFFE if config["caffe_pretrain"] else _TORCHVISION
    require_agreement(checkpoint, given, told)
    return told


SOURCE = Source(_describe, tuple(_IMAGE_MODES))
