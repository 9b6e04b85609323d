"""A converted run has its recipe's settings, but for what is listed here."""

from pathlib import Path

import numpy as np
import pytest

from tf_frcnn.checkpoints import SOURCES, CheckpointError
from tf_frcnn.checkpoints.conversion import config_of
from tf_frcnn.checkpoints.files import Checkpoint
from tf_frcnn.config import DataSettings, load_config
from tf_frcnn.config.yaml_files import dump_yaml, parse_yaml

# The names by which a file is known, with the lengths of the arrays.
CHAINER = {"head.score.weight": 21, "rpn.loc.weight": 36, "extractor.0.bias": 64}
VOC_DATA = ("reader", "train_split", "validation_split", "test_split")
RANDOM = {"backbone.weights": "random"}
BUBBLIIIING = {
    "detections.score_threshold": 0.5,
    "detections.nms_iou": 0.3,
    "detections.max_per_image": 2000,
}
SIMPLE = RANDOM | {"detections.max_per_image": 2000}
TORCHVISION = {"backbone.normalization": "frozen_batch", "backbone.frozen_blocks": 2}
VOC_SCALES = {"anchors.scales": [8.0, 16.0, 32.0]}
LARGE_SCALES = {"anchors.scales": [2.0, 4.0, 8.0, 16.0, 32.0]}


def slim(scope, num_scales=3, fc7=None):
    arrays = {f"{scope}/cls_score/biases": 21}
    arrays[f"{scope}/rpn_cls_score/biases"] = 6 * num_scales
    return arrays | ({f"{scope}/fc7/biases": fc7} if fc7 else {})


def named(backbone):
    return {"backbone.name": backbone}


# (source, variant, arrays, recipe, what differs from it)
CASES = [
    ("bubbliiiing", None, CHAINER, "bubbliiiing_vgg16_voc0712", BUBBLIIIING),
    (
        "bubbliiiing",
        None,
        CHAINER | {"extractor.4.0.conv1.weight": 64},
        "bubbliiiing_resnet50_voc0712",
        BUBBLIIIING | {"backbone.normalization": "frozen_batch"},
    ),
    (
        "simple-faster-rcnn-pytorch",
        "caffe",
        CHAINER,
        "simple_faster_rcnn_vgg16_voc07",
        SIMPLE,
    ),
    (
        "simple-faster-rcnn-pytorch",
        "torchvision",
        CHAINER | {"head.classifier.3.weight": 4096},
        "simple_faster_rcnn_vgg16_voc07",
        SIMPLE | {"images.mode": "torch", "roi.dropout": 0.5},
    ),
    (
        "tf-faster-rcnn",
        None,
        slim("vgg_16", fc7=4096),
        "tf_faster_rcnn_vgg16_voc0712",
        RANDOM,
    ),
    (
        "tf-faster-rcnn",
        None,
        slim("vgg_16", 4, fc7=512),
        "tf_faster_rcnn_vgg16_coco",
        RANDOM | {"roi.head_units": 512},
    ),
    (
        "tf-faster-rcnn",
        None,
        slim("vgg_16", 5, fc7=4096),
        "tf_faster_rcnn_vgg16_coco",
        RANDOM | LARGE_SCALES,
    ),
    *(
        (
            "tf-faster-rcnn",
            None,
            slim(f"resnet_v1_{depth}", num_scales),
            f"tf_faster_rcnn_{recipe}",
            RANDOM | named(f"resnet{depth}_c4_slim"),
        )
        for depth in (50, 101, 152)
        for num_scales, recipe in ((3, "res101_voc0712"), (4, f"res{depth}_coco"))
    ),
    *(
        (
            "tf-faster-rcnn",
            None,
            slim(f"resnet_v1_{depth}", 5),
            "tf_faster_rcnn_res101_800",
            RANDOM | named(f"resnet{depth}_c4_slim"),
        )
        for depth in (50, 101, 152)
    ),
    (
        "tf-faster-rcnn",
        None,
        slim("MobilenetV1", 4),
        "tf_faster_rcnn_mobile_coco",
        RANDOM | named("mobilenet_v1_c4_slim") | {"images.mode": "fast_rcnn"},
    ),
    (
        "tf-faster-rcnn",
        None,
        slim("MobilenetV1", 3),
        "tf_faster_rcnn_mobile_coco",
        RANDOM
        | VOC_SCALES
        | named("mobilenet_v1_c4_slim")
        | {"images.mode": "fast_rcnn"},
    ),
    *(
        (
            "torchvision",
            f"faster{variant}",
            {"roi_heads.box_predictor.cls_score.weight": 91},
            f"torchvision_{recipe}",
            TORCHVISION | differences,
        )
        for variant, recipe, differences in (
            ("rcnn_resnet50_fpn", "resnet50_fpn", {}),
            ("rcnn_resnet50_fpn_coco_v1", "resnet50_fpn", {}),
            ("rcnn_resnet50_fpn_v2", "resnet50_fpn_v2", {}),
            *(
                (f"rcnn_{name}", name, {"backbone.frozen_blocks": 3})
                for name in (
                    "mobilenet_v3_large_fpn",
                    "mobilenet_v3_large_320_fpn",
                )
            ),
        )
    ),
    (
        "imagenet-caffe",
        None,
        {"features.0.weight": 64, "classifier.3.bias": 4096},
        "vgg16_voc07",
        RANDOM,
    ),
    (
        "imagenet-torchvision",
        None,
        {"features.0.weight": 64, "classifier.3.bias": 512},
        "simple_faster_rcnn_vgg16_voc07",
        RANDOM | {"images.mode": "torch", "roi.head_units": 512},
    ),
    *(
        (
            "imagenet-torchvision",
            None,
            {f"layer3.{last}.conv3.weight": 1024},
            "torchvision_resnet50_fpn",
            TORCHVISION | differences,
        )
        for last, differences in (
            (5, {}),
            (22, named("resnet101_fpn")),
            (35, named("resnet152_fpn")),
        )
    ),
    *(
        (
            "imagenet-torchvision",
            variant,
            {"features.15.block.3.0.weight": 160},
            f"torchvision_mobilenet_v3_large_{recipe}",
            TORCHVISION | {"backbone.frozen_blocks": 3},
        )
        for variant, recipe in (
            (None, "fpn"),
            ("fasterrcnn_mobilenet_v3_large_fpn", "fpn"),
            ("fasterrcnn_mobilenet_v3_large_320_fpn", "320_fpn"),
        )
    ),
    (
        "imagenet-slim",
        None,
        {"vgg_16/conv1/conv1_1/weights": 3, "vgg_16/fc7/biases": 4096},
        "tf_faster_rcnn_vgg16_voc0712",
        RANDOM,
    ),
    *(
        (
            "imagenet-slim",
            None,
            {f"resnet_v1_{depth}/conv1/weights": 7},
            "tf_faster_rcnn_res101_voc0712",
            RANDOM | named(f"resnet{depth}_c4_slim"),
        )
        for depth in (50, 101, 152)
    ),
    (
        "imagenet-keras",
        None,
        {"block1_conv1/0": 3, "fc6/0": 25088, "fc7/1": 4096},
        "vgg16_voc07",
        RANDOM,
    ),
    *(
        (
            "imagenet-keras",
            None,
            {f"conv4_block{units}_3_conv/0": 1},
            "tf_faster_rcnn_res101_voc0712",
            RANDOM | ({} if depth == 101 else named(f"resnet{depth}_c4")),
        )
        for depth, units in ((50, 6), (101, 23), (152, 36))
    ),
]


def flat(config):
    """Returns every setting by its path, as YAML has it."""
    tree = parse_yaml(dump_yaml(config.model_dump()), "test")
    return {
        f"{section}.{name}" if name else section: value
        for section, values in tree.items()
        for name, value in (
            values.items() if isinstance(values, dict) else [("", values)]
        )
    }


@pytest.mark.parametrize(
    ("source", "variant", "lengths", "recipe", "differences"),
    CASES,
    ids=[f"{source}-{recipe}" for source, _, _, recipe, _ in CASES],
)
def test_a_converted_run_differs_from_its_recipe_in_what_is_listed_only(
    source, variant, lengths, recipe, differences
):
    arrays = {name: np.zeros(n, np.float32) for name, n in lengths.items()}
    description = SOURCES[source].describe(Checkpoint(Path("weights"), arrays), variant)
    converted = flat(config_of(description, source))
    published = flat(load_config(recipe))
    defaults = DataSettings()
    expected = published | {f"data.{n}": getattr(defaults, n) for n in VOC_DATA}
    assert converted == expected | differences
    # Nothing is listed that does not differ.
    assert all(published[path] != value for path, value in differences.items())


def test_every_source_and_variant_is_compared():
    compared = {(source, variant) for source, variant, *_ in CASES}
    for name, source in SOURCES.items():
        assert all((name, v) in compared for v in source.variants or [None])


def test_a_variant_is_for_the_mobilenet_alone():
    arrays = {"layer3.5.conv3.weight": np.zeros(1024, np.float32)}
    describe = SOURCES["imagenet-torchvision"].describe
    with pytest.raises(CheckpointError, match=r"is a VGG16 or a ResNet, not fast"):
        describe(Checkpoint(Path("x.pth"), arrays), "fasterrcnn_mobilenet_v3_large_fpn")
