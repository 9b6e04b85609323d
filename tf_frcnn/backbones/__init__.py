"""Backbones by name.

A new backbone is one file with a builder and one line in `BACKBONES`.
"""

import functools

from tf_frcnn.backbones.application import application_backbone
from tf_frcnn.backbones.backbone import Backbone
from tf_frcnn.backbones.imagenet import imagenet_application
from tf_frcnn.backbones.mobilenet_v1 import mobilenet_v1_c4
from tf_frcnn.backbones.mobilenet_v3 import mobilenet_v3_large_fpn
from tf_frcnn.backbones.regnet import teaching_fpn
from tf_frcnn.backbones.resnet import BUBBLIIIING, SLIM, resnet_c4, resnet_fpn
from tf_frcnn.backbones.tiny import tiny
from tf_frcnn.backbones.vgg16 import vgg16, vgg16_floor, vgg16_fpn
from tf_frcnn.backbones.zf import zf

_IMAGENET_VGG16 = functools.partial(imagenet_application, "VGG16", include_top=True)

BACKBONES = {
    "mobilenet_v1_025_c4": mobilenet_v1_c4(0.25),
    "mobilenet_v1_050_c4": mobilenet_v1_c4(0.5),
    "mobilenet_v1_075_c4": mobilenet_v1_c4(0.75),
    "mobilenet_v1_c4": mobilenet_v1_c4(),
    "mobilenet_v1_c4_slim": mobilenet_v1_c4(symmetric=True),
    "mobilenet_v3_large_fpn": Backbone(
        mobilenet_v3_large_fpn,
        strides=(32, 32, 64),
        image_mode="torch",
        num_blocks=6,
        has_normalization=True,
    ),
    "resnet101_c4": resnet_c4(101),
    "resnet101_c4_slim": resnet_c4(101, SLIM),
    "resnet101_fpn": resnet_fpn(101),
    "resnet152_c4": resnet_c4(152),
    "resnet152_c4_slim": resnet_c4(152, SLIM),
    "resnet152_fpn": resnet_fpn(152),
    "resnet50_c4": resnet_c4(50),
    "resnet50_c4_bubbliiiing": resnet_c4(50, BUBBLIIIING),
    "resnet50_c4_slim": resnet_c4(50, SLIM),
    "resnet50_fpn": resnet_fpn(50),
    "resnet50_fpn_v2": resnet_fpn(50, normalized=True),
    "teaching_fpn": Backbone(
        teaching_fpn,
        strides=(8, 16, 32),
        image_mode="torch",
        num_blocks=5,
        has_normalization=True,
        num_roi_levels=3,
    ),
    "tiny": Backbone(tiny, strides=(16,), image_mode="unit", num_blocks=4),
    "vgg16": Backbone(
        vgg16, strides=(16,), image_mode="caffe", num_blocks=5, imagenet=_IMAGENET_VGG16
    ),
    "vgg16_floor": Backbone(
        vgg16_floor,
        strides=(16,),
        image_mode="caffe",
        num_blocks=5,
        rounds_down=True,
        imagenet=_IMAGENET_VGG16,
    ),
    "vgg16_fpn": Backbone(
        vgg16_fpn,
        strides=(8, 16, 32),
        image_mode="caffe",
        num_blocks=5,
        num_roi_levels=2,
        imagenet=_IMAGENET_VGG16,
    ),
    "zf": Backbone(zf, strides=(16,), image_mode="caffe", num_blocks=5),
}

__all__ = ["BACKBONES", "Backbone", "application_backbone"]
