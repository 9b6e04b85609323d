"""tf-faster-rcnn (endernewton): checkpoints of TensorFlow 1.

The files of `output/NET/...`, which the author published for VOC and COCO too. The
names of older ones, which begin with vgg16_default, are not known here.

Source: tf-faster-rcnn:lib/nets, lib/model/config.py, lib/model/test.py,
    experiments/cfgs and experiments/scripts.
"""

from tf_frcnn.checkpoints.class_lists import COCO, VOC
from tf_frcnn.checkpoints.files import Checkpoint, CheckpointError
from tf_frcnn.checkpoints.layouts import deltas_from_xywh
from tf_frcnn.checkpoints.name_map import NameMap
from tf_frcnn.checkpoints.slim import (
    slim_layer,
    slim_mobilenet,
    slim_resnet,
    slim_vgg16,
)
from tf_frcnn.checkpoints.source import (
    Description,
    Source,
    not_of_this_source,
)

# Of the optimizer, its learning rate, and what turned RGB weights into BGR ones.
IGNORED = r"/Momentum$|^Variable(_\d+)?$|^global_step$|^Fix_"
_RATIOS = 3
# By their number, the anchors' scales: on VOC, on COCO, and on COCO at 800 pixels.
_SCALES = {3: (8, 16, 32), 4: (4, 8, 16, 32), 5: (2, 4, 8, 16, 32)}
_ON_VOC, _AT_800_PIXELS = 3, 5
_RECIPE_AT_800_PIXELS = "tf_faster_rcnn_res101_800"
_CLASS_LISTS = {len(names): names for names in (VOC, COCO)}
# By scope, the recipes on VOC and on COCO, and the backbone's layout.
_MOBILE = "tf_faster_rcnn_mobile_coco"
_NETWORKS = {
    "vgg_16": ("tf_faster_rcnn_vgg16_voc0712", "tf_faster_rcnn_vgg16_coco", "vgg16"),
    **{
        f"resnet_v1_{depth}": (
            "tf_faster_rcnn_res101_voc0712",
            f"tf_faster_rcnn_res{depth}_coco",
            f"resnet{depth}_c4_slim",
        )
        for depth in (50, 101, 152)
    },
    "MobilenetV1": (_MOBILE, _MOBILE, "mobilenet_v1_c4_slim"),
}


def settings_of(scope: str, *, on_coco: bool = False) -> dict[str, dict | str]:
    """Returns the settings of the network of a scope, its recipe as `base`."""
    of_voc, of_coco, backbone = _NETWORKS[scope]
    return {
        "base": of_coco if on_coco else of_voc,
        # MobileNet's recipe has those of Keras's weights.
        "images": {"mode": "fast_rcnn"},
        "backbone": {"name": backbone, "weights": "random"},
    }


def _describe(checkpoint: Checkpoint, variant: str | None) -> Description:
    scope = _scope(checkpoint)
    num_scales = _num_scales(checkpoint, scope)
    num_classes = len(checkpoint.arrays[f"{scope}/cls_score/biases"]) - 1
    settings = settings_of(scope, on_coco=num_scales != _ON_VOC)
    settings["anchors"] = {"scales": list(_SCALES[num_scales])}
    if num_scales == _AT_800_PIXELS and scope.startswith("resnet"):
        settings["base"] = _RECIPE_AT_800_PIXELS
    if scope == "vgg_16":
        num_units = len(checkpoint.arrays["vgg_16/fc7/biases"])
        settings["roi"] = {"head_units": num_units}
    scales = ", ".join(map(str, _SCALES[num_scales]))
    return Description(
        settings=settings,
        num_classes=num_classes,
        class_names=_CLASS_LISTS.get(num_classes),
        name_map=_name_map(scope),
        ignored=IGNORED,
        notes=(
            f"The {num_scales * _RATIOS} anchors of a cell are taken to have the "
            f"scales {scales}, as in the author's trainings; the file does not tell.",
        ),
    )


def _scope(checkpoint):
    """Returns the scope of the network that a file holds."""
    for scope in _NETWORKS:
        outputs = (f"{scope}/cls_score/biases", f"{scope}/rpn_cls_score/biases")
        if all(name in checkpoint.arrays for name in outputs):
            return scope
    scopes = ", ".join(_NETWORKS)
    raise not_of_this_source(
        checkpoint, f"SCOPE/cls_score and SCOPE/rpn_cls_score for a SCOPE of {scopes}"
    )


def _num_scales(checkpoint, scope):
    num_anchors = len(checkpoint.arrays[f"{scope}/rpn_cls_score/biases"]) // 2
    counts = {number * _RATIOS: number for number in _SCALES}
    if num_anchors not in counts:
        raise CheckpointError(
            f"{checkpoint.path}: {num_anchors} anchors per cell, of which the file "
            "does not tell the scales and ratios; known are those of "
            f"{', '.join(map(str, counts))}."
        )
    return counts[num_anchors]


def _name_map(scope) -> NameMap:
    if scope == "vgg_16":
        network = slim_vgg16(scope)
        for layer in ("fc6", "fc7"):
            network |= slim_layer(f"box_head/{layer}", f"{scope}/{layer}")
    elif scope == "MobilenetV1":
        network = slim_mobilenet(scope)
    else:
        network = slim_resnet(scope, int(scope.rpartition("_")[2]))
    return (
        network
        | slim_layer("rpn_head/conv", f"{scope}/rpn_conv/3x3")
        | slim_layer("rpn_head/scores", f"{scope}/rpn_cls_score")
        | slim_layer(
            "rpn_head/deltas", f"{scope}/rpn_bbox_pred", change=deltas_from_xywh
        )
        | slim_layer("box_predictor/logits", f"{scope}/cls_score")
        | slim_layer(
            "box_predictor/deltas", f"{scope}/bbox_pred", change=deltas_from_xywh
        )
    )


SOURCE = Source(_describe)
