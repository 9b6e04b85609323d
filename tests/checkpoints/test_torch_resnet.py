from pathlib import Path

import numpy as np
import pytest

from tf_frcnn.backbones import BACKBONES
from tf_frcnn.backbones.resnet import UNITS
from tf_frcnn.checkpoints import SOURCES, CheckpointError, conversion, load
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


def zeros(*shape):
    """Returns zeros that take no memory."""
    return np.broadcast_to(np.float32(0), shape)


def normalized(name, outputs, inputs, side, norm):
    """Returns a convolution and its fixed normalisation, as PyTorch names them."""
    arrays = {f"{name}.weight": zeros(outputs, inputs, side, side)}
    parts = ("weight", "bias", "running_mean", "running_var")
    return arrays | {f"{norm}.{part}": zeros(outputs) for part in parts}


def detector_of_torchvision(depth, num_classes):
    """Returns a state dict of FasterRCNN(resnet_fpn_backbone("resnet..."), ...)."""
    arrays = normalized(f"{BODY}conv1", 64, 3, 7, f"{BODY}bn1")
    inputs = 64
    for number, units in enumerate(UNITS[depth]):
        width = 64 * 2**number
        for unit in range(units):
            name = f"{BODY}layer{number + 1}.{unit}"
            sizes = ((width, inputs, 1), (width, width, 3), (4 * width, width, 1))
            for k, size in enumerate(sizes, start=1):
                arrays |= normalized(f"{name}.conv{k}", *size, f"{name}.bn{k}")
            if unit == 0:
                shortcut = f"{name}.downsample"
                size = (4 * width, inputs, 1)
                arrays |= normalized(f"{shortcut}.0", *size, f"{shortcut}.1")
            inputs = 4 * width
    layers = {"rpn.head.conv.0.0": (256, 256, 3, 3)}
    layers |= {"rpn.head.cls_logits": (3, 256, 1, 1)}
    layers |= {"rpn.head.bbox_pred": (12, 256, 1, 1)}
    for level in range(4):
        fpn = "backbone.fpn."
        layers[f"{fpn}inner_blocks.{level}.0"] = (256, 256 * 2**level, 1, 1)
        layers[f"{fpn}layer_blocks.{level}.0"] = (256, 256, 3, 3)
    heads = {"box_head.fc6": (1024, 256 * 49), "box_head.fc7": (1024, 1024)}
    heads |= {"box_predictor.cls_score": (num_classes + 1, 1024)}
    heads |= {"box_predictor.bbox_pred": (4 * (num_classes + 1), 1024)}
    layers |= {f"roi_heads.{name}": shape for name, shape in heads.items()}
    for name, shape in layers.items():
        arrays |= {f"{name}.weight": zeros(*shape), f"{name}.bias": zeros(shape[0])}
    return arrays


@pytest.mark.slow
@pytest.mark.parametrize("depth", [50, 101])
def test_every_weight_of_a_deeper_detector_has_its_place(depth, monkeypatch):
    own = checkpoint(detector_of_torchvision(depth, 3))
    monkeypatch.setattr(conversion, "read_checkpoint", lambda path: own)
    loaded = load("torchvision", "weights.pth", ["a", "b", "c"])
    assert loaded.config.backbone.name == f"resnet{depth}_fpn"
    assert len(loaded.report.loaded) == len(own.arrays)
    assert not loaded.report.missing and not loaded.report.unexpected
