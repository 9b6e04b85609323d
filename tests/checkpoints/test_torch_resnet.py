from pathlib import Path

import numpy as np
import pytest

from tf_frcnn.backbones import BACKBONES
from tf_frcnn.backbones.resnet import UNITS
from tf_frcnn.checkpoints import SOURCES, CheckpointError
from tf_frcnn.checkpoints.files import Checkpoint
from tf_frcnn.checkpoints.torch_resnet import resnet_depth

BODY = "backbone.body."
LOGITS = {"roi_heads.box_predictor.cls_score.weight": np.zeros([4, 1024])}


def bottlenecks(units, width=64, body=BODY):
    """Returns some of the arrays of a ResNet with bottleneck units."""
    first = {
        f"{body}layer1.0.conv{n}.weight": np.zeros([width, 64, k, k])
        for n, k in ((1, 1), (2, 3), (3, 1))
    }
    return first | {
        f"{body}layer3.{unit}.conv3.weight": np.zeros([1024, 256, 1, 1])
        for unit in range(units)
    }


def basic(units):
    names = [f"layer1.0.conv{n}.weight" for n in (1, 2)]
    names += [f"layer3.{unit}.conv2.weight" for unit in range(units)]
    return {BODY + name: np.zeros([64, 64, 3, 3]) for name in names}


def checkpoint(arrays):
    return Checkpoint(Path("weights.pth"), arrays)


@pytest.mark.parametrize(("depth", "units"), [(50, 6), (101, 23), (152, 36)])
def test_the_depth_of_a_detector_of_torchvision_is_seen(depth, units):
    arrays = bottlenecks(units) | LOGITS
    assert resnet_depth(checkpoint(arrays), BODY) == depth
    found = SOURCES["torchvision"].describe(checkpoint(arrays), None)
    name = found.settings["backbone"].get("name", "resnet50_fpn")
    assert name == f"resnet{depth}_fpn" and name in BACKBONES
    kernels = [w for w in found.name_map if "backbone/conv" in w and "kernel" in w]
    assert len(kernels) == 1 + 3 * sum(UNITS[depth]) + 4


@pytest.mark.parametrize(
    ("arrays", "named"),
    [
        (basic(2), "ResNet-18 or ResNet-34"),
        (basic(6), "ResNet-18 or ResNet-34"),
        (bottlenecks(6, width=128), "ResNeXt or Wide ResNet"),
        (bottlenecks(7), "ResNet with 7 units in layer3"),
    ],
)
def test_another_resnet_is_refused_by_name(arrays, named):
    message = rf"weights\.pth: its backbone is a {named}, which is not known here; "
    for variant in (None, "fasterrcnn_resnet50_fpn"):
        with pytest.raises(CheckpointError, match=f"{message}.* 50, 101, 152 layers"):
            SOURCES["torchvision"].describe(checkpoint(arrays | LOGITS), variant)


def test_a_backbone_alone_is_refused_by_name_as_well():
    arrays = {name.removeprefix(BODY): array for name, array in basic(2).items()}
    with pytest.raises(CheckpointError, match="is a ResNet-18 or ResNet-34"):
        SOURCES["imagenet-torchvision"].describe(checkpoint(arrays), None)


def test_a_deep_resnet_with_a_normalised_pyramid_is_refused_by_name():
    arrays = bottlenecks(23) | LOGITS
    arrays["roi_heads.box_head.0.0.weight"] = np.zeros([256, 256, 3, 3])
    with pytest.raises(CheckpointError, match="a ResNet-101 with a normalised pyramid"):
        SOURCES["torchvision"].describe(checkpoint(arrays), None)


def test_there_may_be_no_resnet():
    assert resnet_depth(checkpoint({"features.0.weight": np.zeros(1)})) is None


def test_what_stands_before_some_names_is_told_with_the_way_out():
    arrays = {f"student.{name}": array for name, array in LOGITS.items()}
    arrays["teacher.more"] = np.zeros(1)
    message = r"file has student\.roi_heads.* Take 'student\.' away .*torch\.save\("
    with pytest.raises(CheckpointError, match=message):
        SOURCES["torchvision"].describe(checkpoint(arrays), None)
