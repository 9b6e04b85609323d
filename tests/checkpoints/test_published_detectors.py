"""Detectors by the names of published weights, from a server on this machine."""

import numpy as np
import pytest

from tests.helpers import torch_original
from tests.helpers.file_server import published_at
from tests.helpers.imagined_source import SOURCE, random_arrays
from tests.helpers.torch_files import write_state_dict
from tf_frcnn.assembly import build_model
from tf_frcnn.checkpoints import PUBLISHED, SOURCES, load_published, torchvision
from tf_frcnn.checkpoints.class_lists import COCO_BY_ID
from tf_frcnn.checkpoints.name_map import named_variables
from tf_frcnn.config import ConfigError, make_config
from tf_frcnn.data import SHAPE_CLASSES

pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture
def imagined(server, tmp_path, monkeypatch):
    """Publishes weights of a small detector on the server; gives the arrays."""
    arrays = random_arrays()
    content = write_state_dict(tmp_path / "made.pth", arrays).read_bytes()
    server.serve(content)
    monkeypatch.setitem(SOURCES, "imagined", SOURCE)
    wanted = published_at(server.address, content)
    monkeypatch.setitem(PUBLISHED, ("imagined", "shapes"), wanted)
    return arrays


def test_a_detector_is_loaded_by_name(imagined, server):
    loaded = load_published("imagined", "shapes")
    assert loaded.model.class_names == SHAPE_CLASSES
    assert len(loaded.report.loaded) == len(imagined) - 1  # the optimizer's step
    for name, variable in named_variables(loaded.model).items():
        np.testing.assert_array_equal(variable, imagined[name.replace("/", ".")])
    load_published("imagined", "shapes")
    assert len(server.asked) == 1


def test_overrides_and_classes_are_taken(imagined):
    overrides = {"images": {"short_side": 64}, "detections": {"score_threshold": 0.3}}
    plain = load_published("imagined", "shapes").config
    loaded = load_published("imagined", "shapes", ["cell"], overrides=overrides)
    assert loaded.model.class_names == ("cell",)
    assert loaded.config == plain.replace(
        images=plain.images.replace(short_side=64),
        detections=plain.detections.replace(score_threshold=0.3),
    )


def test_the_variant_is_taken(imagined, monkeypatch):
    key = ("imagined", "shapes")
    entry = PUBLISHED[key]._replace(variant="unknown classes")
    monkeypatch.setitem(PUBLISHED, key, entry)
    assert load_published(*key, ["a", "b", "c", "d"]).report.random == []


def test_a_bad_override_is_named(imagined):
    with pytest.raises(ConfigError, match=r"^overrides: images\.side is not a setting"):
        load_published("imagined", "shapes", overrides={"images": {"side": 64}})


def test_an_unknown_name_is_told_what_there_is():
    there_is = "coco of torchvision_resnet50_fpn, imagenet of torchvision_resnet50_fpn,"
    for recipe, weights in (("zf_voc07", "coco"), ("torchvision_resnet50_fpn", "voc")):
        message = f"weights = '{weights}' of '{recipe}' are not published; .*{there_is}"
        with pytest.raises(ValueError, match=message):
            load_published(recipe, weights)


def test_a_backbone_is_not_downloaded_without_classes(server, monkeypatch):
    monkeypatch.setenv("TF_FRCNN_MIRROR", server.address)
    with pytest.raises(ValueError, match="know no objects; give class_names"):
        load_published("torchvision_resnet50_fpn", "imagenet")
    assert server.asked == []


# Whole networks ----------------------------------------------------------------------


def publish(server, monkeypatch, key, path):
    """Serves a file instead of a published one."""
    server.serve(path.read_bytes())
    wanted = published_at(server.address, server.content, PUBLISHED[key].file)
    entry = wanted._replace(source=PUBLISHED[key].source)
    monkeypatch.setitem(PUBLISHED, key, entry)
    return key


def mobilenet_detector():
    """Returns random weights of torchvision's detector of 90 classes, by its names."""
    name_map = torchvision._name_map(torchvision.MOBILENET_320, 50)
    config = make_config(torchvision.settings_of(torchvision.MOBILENET_320), "test")
    model = build_model(config, COCO_BY_ID)
    rng, arrays = np.random.default_rng(0), {}
    for weight, variable in named_variables(model).items():
        places = {2: (1, 0), 4: (3, 2, 0, 1)}.get(len(variable.shape), (0,))
        if weight.endswith("_depthwise_conv/kernel"):
            places = (2, 3, 0, 1)
        shape = [variable.shape[place] for place in places]
        values = rng.uniform(0.01, 0.02, shape).astype(np.float32)
        arrays[name_map[weight].names[0]] = values
    return arrays


@pytest.mark.slow
def test_a_detector_of_torchvision_by_name(server, tmp_path, monkeypatch):
    arrays = mobilenet_detector()
    path = write_state_dict(tmp_path / "made.pth", arrays)
    key = ("torchvision_mobilenet_v3_large_320_fpn", "coco")
    publish(server, monkeypatch, key, path)
    loaded = load_published(*key, overrides={"images": {"short_side": 200}})
    report = loaded.report
    assert len(report.loaded) == len(arrays)
    assert not (report.missing or report.unexpected or report.random)
    assert len(loaded.model.class_names) == 90
    assert (loaded.config.images.short_side, loaded.config.images.long_side) == (
        200,
        640,
    )
    bias = loaded.model.roi_head.predictor.logits.bias
    np.testing.assert_array_equal(
        bias, arrays["roi_heads.box_predictor.cls_score.bias"]
    )


@pytest.mark.slow
def test_a_backbone_of_torchvision_by_name(server, tmp_path, monkeypatch):
    torch = pytest.importorskip("torch", reason="PyTorch writes the original")
    network = torch_original.TorchNetwork(torch)
    network.add_resnet50()
    key = ("torchvision_resnet50_fpn", "imagenet")
    publish(server, monkeypatch, key, network.save(tmp_path / "made.pth"))
    loaded = load_published(*key, ["cell", "dish"])
    assert loaded.model.class_names == ("cell", "dish")
    assert loaded.config.backbone.name == "resnet50_fpn"
    kernel = named_variables(loaded.model)["backbone/conv1_conv/kernel"]
    expected = network.state["conv1.weight"].permute(2, 3, 1, 0).numpy()
    np.testing.assert_array_equal(kernel, expected)
