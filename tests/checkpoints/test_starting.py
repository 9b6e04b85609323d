"""A recipe of another program starts from a converted ImageNet backbone."""

import numpy as np
import pytest

from tests.helpers import torch_original
from tf_frcnn import checkpoints
from tf_frcnn.assembly import build_model
from tf_frcnn.checkpoints.name_map import named_variables
from tf_frcnn.config import load_config
from tf_frcnn.runs.inference import load_run, take_weights

pytestmark = pytest.mark.slow

CLASSES = ("red cell", "platelet")
FC_UNITS = 64  # of torch_original's VGG16


def test_the_recipe_of_bubbliiiing_starts_from_torchvisions_vgg16(tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch writes the original")
    network = torch_original.TorchNetwork(torch)
    network.add_vgg16()
    path, run = network.save(tmp_path / "vgg16-397923af.pth"), tmp_path / "run"
    start = checkpoints.convert("imagenet-torchvision", path, run, CLASSES).model
    units = f"roi.head_units={FC_UNITS}"
    config = load_config("bubbliiiing_vgg16_voc0712", [units])
    model = build_model(config.replace(seed=1), CLASSES)
    take_weights(load_run(run), model)
    old, new = named_variables(start), named_variables(model)
    assert old.keys() == new.keys()
    for name in old:
        np.testing.assert_array_equal(new[name], old[name])


def test_a_cascade_starts_from_the_fully_connected_layers_of_the_file(tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch writes the original")
    network = torch_original.TorchNetwork(torch)
    network.add_vgg16()
    path = network.save(tmp_path / "vgg16-397923af.pth")
    roi = {"cascade_ious": [0.6], "class_agnostic": True}
    loaded = checkpoints.load(
        "imagenet-torchvision", path, CLASSES, overrides={"roi": roi}
    )
    first, second = (head.box_head for head in loaded.model.roi_head.heads())
    for own, other in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(own, other)
    later = {name for name in loaded.report.random if "/head2/" in name}
    assert later and all(name.startswith("box_predictor/head2/") for name in later)
