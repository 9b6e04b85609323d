"""The common parts of the two descendants of ChainerCV's Faster R-CNN in PyTorch.

simple-faster-rcnn-pytorch and bubbliiiing's faster-rcnn-pytorch name the parts alike:
extractor, rpn, head.classifier, head.cls_loc and head.score.
"""

from tf_frcnn.checkpoints.files import Checkpoint
from tf_frcnn.checkpoints.layouts import torch_convolution, torch_dense
from tf_frcnn.checkpoints.name_map import NameMap
from tf_frcnn.checkpoints.source import not_of_this_source
from tf_frcnn.checkpoints.torch_vgg16 import vgg16_backbone
from tf_frcnn.ops.rpn_scores import from_interleaved

_ANYTHING = "head.score.weight"
VGG16_FIRST, RESNET_FIRST = "extractor.0.bias", "extractor.4.0.conv1.weight"
# The bare programs keep every detection; 300 RoIs give fewer in any image.
MAX_PER_IMAGE = 2000


def num_classes_of(checkpoint: Checkpoint, first: str) -> int:
    """Returns K.

    Args:
        checkpoint: of either program.
        first: a name that this program's file has.

    Raises:
        CheckpointError: the file is not of this program.
    """
    for name in (_ANYTHING, "rpn.loc.weight", first):
        if name not in checkpoint.arrays:
            raise not_of_this_source(checkpoint, name)
    return len(checkpoint.arrays[_ANYTHING]) - 1


def rpn_and_predictor(**deltas) -> NameMap:
    """Maps the RPN head and the box predictor.

    Args:
        deltas: `change`, the order of the deltas, where it is not ours.
    """
    return (
        torch_convolution("rpn_head/conv", "rpn.conv1")
        | torch_convolution("rpn_head/scores", "rpn.score", change=from_interleaved)
        | torch_convolution("rpn_head/deltas", "rpn.loc", **deltas)
        | torch_dense("box_predictor/logits", "head.score")
        | torch_dense("box_predictor/deltas", "head.cls_loc", **deltas)
    )


def vgg16_and_head(fc7: int) -> NameMap:
    """Maps the backbone and the two fully connected layers of VGG16.

    Args:
        fc7: its place in the classifier, 2 or, behind a dropout, 3.
    """
    return (
        vgg16_backbone("extractor")
        | torch_dense("box_head/fc6", "head.classifier.0", pooled=7)
        | torch_dense("box_head/fc7", f"head.classifier.{fc7}")
    )
