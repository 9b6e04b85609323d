"""Backbones trained on ImageNet, to train a detector from.

They come without an RPN and know no objects; what they lack stays random. The settings
are the recipe of a system that starts from such a file.
"""

from dataclasses import replace

from tf_frcnn.backbones.resnet import UNITS as RESNET_UNITS
from tf_frcnn.checkpoints import simple_faster_rcnn, tf_faster_rcnn, torchvision
from tf_frcnn.checkpoints.files import Checkpoint
from tf_frcnn.checkpoints.layouts import torch_dense
from tf_frcnn.checkpoints.name_map import NameMap, Taken
from tf_frcnn.checkpoints.slim import slim_layer, slim_resnet, slim_vgg16
from tf_frcnn.checkpoints.source import (
    Description,
    Source,
    not_of_this_source,
    require_agreement,
)
from tf_frcnn.checkpoints.torch_mobilenet_v3 import mobilenet_v3_large
from tf_frcnn.checkpoints.torch_resnet import (
    resnet_depth,
    resnet_stage,
    resnet_stem,
)
from tf_frcnn.checkpoints.torch_vgg16 import vgg16_backbone

_RANDOM = r"rpn_head/|box_predictor/"
_RANDOM_HEAD = rf"{_RANDOM}|box_head/(head\d/)?fc"
_RANDOM_PYRAMID = rf"{_RANDOM_HEAD}|backbone/fpn_"
_SLIM_IGNORED = (
    rf"{tf_faster_rcnn.IGNORED}|/(fc8|logits)/|/mean_rgb$"
    r"|/(RMSProp(_1)?|ExponentialMovingAverage)$"
)
_BATCH_NORM = ("gamma", "beta", "moving_mean", "moving_variance")
# py-faster-rcnn's joint training, whose VGG16 is caffe's and that of Keras.
_CAFFE_RECIPE = "vgg16_voc07"
_NOTES = (
    "The file knows no objects: the RPN and the predictor are new and random. Train "
    "before you predict.",
)


# torchvision and caffe ---------------------------------------------------------------


def _describe_torchvision(checkpoint: Checkpoint, variant: str | None) -> Description:
    if "features.15.block.3.0.weight" in checkpoint.arrays:
        return _torch_mobilenet(variant or torchvision.MOBILENET)
    require_agreement(checkpoint, variant, "a VGG16 or a ResNet")
    if "features.0.weight" in checkpoint.arrays:
        recipe = simple_faster_rcnn.RECIPE
        return _torch_vgg16(checkpoint, recipe, images={"mode": "torch"})
    depth = _torch_resnet_depth(checkpoint)
    settings = torchvision.settings_of(torchvision.RESNET, name=f"resnet{depth}_fpn")
    name_map = resnet_stem("backbone", "conv1", "bn1")
    for number, units in enumerate(RESNET_UNITS[depth], start=2):
        name_map |= resnet_stage("backbone", number, f"layer{number - 1}", units)
    return _description(
        settings, name_map, r"^fc\.|num_batches_tracked$", _RANDOM_PYRAMID
    )


def _describe_caffe(checkpoint: Checkpoint, variant: str | None) -> Description:
    if "features.0.weight" not in checkpoint.arrays:
        raise not_of_this_source(checkpoint, "features.0.weight")
    return _torch_vgg16(checkpoint, _CAFFE_RECIPE)


def _torch_vgg16(checkpoint, recipe, **sections):
    """Describes a VGG16 in torchvision's layout.

    Justin Johnson's file of caffe's weights (jcjohnson/pytorch-vgg) counts an
    activation more in front of fc6 and fc7 than the files that others made of it.
    """
    arrays = checkpoint.arrays
    fc6, fc7 = (1, 4) if "classifier.1.weight" in arrays else (0, 3)
    name_map = (
        vgg16_backbone("features")
        | torch_dense("box_head/fc6", f"classifier.{fc6}", pooled=7)
        | torch_dense("box_head/fc7", f"classifier.{fc7}")
    )
    settings = _settings(recipe, arrays.get(f"classifier.{fc7}.bias"), **sections)
    return _description(settings, name_map, r"^classifier\.6\.", _RANDOM)


def _torch_mobilenet(variant):
    """Describes MobileNetV3-Large.

    As in torchvision's detectors, the normalisations add 1e-5 to the variance, although
    those of the classifier add 1e-3.
    """
    return _description(
        torchvision.settings_of(variant),
        mobilenet_v3_large("features"),
        r"^classifier\.|num_batches_tracked$",
        _RANDOM_PYRAMID,
    )


def _torch_resnet_depth(checkpoint):
    if depth := resnet_depth(checkpoint):
        return depth
    raise not_of_this_source(
        checkpoint,
        "features.0.weight (VGG16), layer3.5.conv3.weight (ResNet), or "
        "features.15.block.3.0.weight (MobileNetV3-Large)",
    )


# tf-slim -----------------------------------------------------------------------------


def _describe_slim(checkpoint: Checkpoint, variant: str | None) -> Description:
    """Describes VGG16 or a ResNet of tf-slim.

    Its networks take RGB. As in `fix_variables` of tf-faster-rcnn:lib/nets the first
    convolution is turned to BGR, and that program's own means are subtracted.
    """
    arrays = checkpoint.arrays
    if "vgg_16/conv1/conv1_1/weights" in arrays:
        scope, first = "vgg_16", "backbone/block1_conv1/kernel"
        name_map = slim_vgg16(scope) | _slim_head(scope)
    else:
        scope, first = _slim_resnet_scope(checkpoint), "backbone/conv1_conv/kernel"
        name_map = slim_resnet(scope, int(scope.rpartition("_")[2]))
    name_map[first] = replace(name_map[first], change=lambda array: array[:, :, ::-1])
    settings = tf_faster_rcnn.settings_of(scope)
    return _description(
        settings | _head(arrays.get(f"{scope}/fc7/biases")),
        name_map,
        _SLIM_IGNORED,
        _RANDOM,
    )


def _slim_head(scope) -> NameMap:
    """Maps fc6 and fc7, which are convolutions of 7x7 and 1x1 there."""
    entries: NameMap = {}
    for layer in ("fc6", "fc7"):
        entries |= slim_layer(f"box_head/{layer}", f"{scope}/{layer}")
        kernel = f"box_head/{layer}/kernel"
        entries[kernel] = replace(
            entries[kernel], change=lambda array: array.reshape(-1, array.shape[-1])
        )
    return entries


def _slim_resnet_scope(checkpoint):
    scopes = [f"resnet_v1_{depth}" for depth in RESNET_UNITS]
    for scope in scopes:
        if f"{scope}/conv1/weights" in checkpoint.arrays:
            return scope
    raise not_of_this_source(
        checkpoint, f"weights under one of vgg_16, {', '.join(scopes)}"
    )


# keras.applications ------------------------------------------------------------------


def _describe_keras(checkpoint: Checkpoint, variant: str | None) -> Description:
    """Describes VGG16 or a ResNet of keras.applications, with its top or without."""
    arrays = checkpoint.arrays
    if "block1_conv1/0" in arrays:
        # The names of the layers are its own.
        name_map: NameMap = {}
        for weight in [
            *vgg16_backbone(""),
            "box_head/fc6/kernel",
            "box_head/fc7/kernel",
        ]:
            part, layer, _ = weight.split("/")
            name_map |= _keras_layer(part, layer, ("kernel", "bias"))
        settings = _settings(_CAFFE_RECIPE, arrays.get("fc7/1"))
    else:
        depth = _keras_resnet_depth(checkpoint)
        name_map = _keras_resnet(depth)
        settings = tf_faster_rcnn.settings_of(f"resnet_v1_{depth}")
        settings["backbone"] = {"name": f"resnet{depth}_c4", "weights": "random"}
    return _description(
        settings,
        name_map,
        r"^(predictions|probs)/",
        _RANDOM if "fc6/0" in arrays else _RANDOM_HEAD,
    )


def _keras_resnet(depth) -> NameMap:
    name_map: NameMap = {}
    for weight in slim_resnet("", depth):
        part, layer, _ = weight.split("/")
        variables = ("kernel", "bias") if layer.endswith("_conv") else _BATCH_NORM
        name_map |= _keras_layer(part, layer, variables)
    return name_map


def _keras_layer(part, layer, variables) -> NameMap:
    return {
        f"{part}/{layer}/{name}": Taken((f"{layer}/{position}",))
        for position, name in enumerate(variables)
    }


def _keras_resnet_depth(checkpoint):
    for depth, units in RESNET_UNITS.items():
        last, beyond = (f"conv4_block{units[2] + n}_3_conv/0" for n in (0, 1))
        if last in checkpoint.arrays and beyond not in checkpoint.arrays:
            return depth
    raise not_of_this_source(
        checkpoint, "layers block1_conv1 (VGG16) or conv4_block6_3_conv (ResNet)"
    )


# All ---------------------------------------------------------------------------------


def _settings(recipe, fc7_biases, **sections):
    """Returns the settings of a recipe whose weights come from the file."""
    start = {"base": recipe, "backbone": {"weights": "random"}}
    return start | _head(fc7_biases) | sections


def _head(fc7_biases):
    """Returns as many units as fc7 has biases, where there is one."""
    return {} if fc7_biases is None else {"roi": {"head_units": len(fc7_biases)}}


def _description(settings, name_map, ignored, random) -> Description:
    return Description(
        settings=settings,
        num_classes=None,
        class_names=None,
        name_map=name_map,
        ignored=ignored,
        random=random,
        notes=_NOTES,
    )


SOURCES = {
    "imagenet-caffe": Source(_describe_caffe),
    "imagenet-keras": Source(_describe_keras),
    "imagenet-slim": Source(_describe_slim),
    "imagenet-torchvision": Source(
        _describe_torchvision, (torchvision.MOBILENET, torchvision.MOBILENET_320)
    ),
}
