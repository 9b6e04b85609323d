import h5py
import numpy as np
import pytest

import tf_frcnn
from tf_frcnn import FasterRCNN
from tf_frcnn.config import ConfigError
from tf_frcnn.data import SHAPE_CLASSES
from tf_frcnn.models import Detector, ProposalNetwork

SMALL = {"images": {"short_side": 64, "long_side": 96}}


def test_a_recipe_by_name_with_classes_and_settings():
    model = FasterRCNN.from_preset(
        "quickstart",
        class_names=["a", "b"],
        box_format="xyxy",
        seed=4,
        detections={"max_per_image": 7},
        **SMALL,
    )
    assert isinstance(model, FasterRCNN) and model.class_names == ("a", "b")
    assert model.resizing.short_sides == (64,) and model.box_format == "xyxy"
    assert model.settings.seed == 4 and model.settings.images.long_side == 96
    assert model.roi_head.detections.max_per_image == 7


def test_the_number_of_classes_is_enough():
    model = FasterRCNN.from_preset("quickstart", num_classes=3, **SMALL)
    assert model.class_names == ("class 0", "class 1", "class 2")


def test_a_file_is_a_recipe_of_ones_own(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text("base: quickstart\nimages: {short_side: 48}\n")
    model = FasterRCNN.from_preset(path, num_classes=1)
    assert model.resizing.short_sides == (48,)


def test_the_backbones_weights_come_from_a_file(tmp_path):
    first = FasterRCNN.from_preset("quickstart", num_classes=1, seed=1, **SMALL)
    first.backbone.save_weights(tmp_path / "tiny.weights.h5")
    with h5py.File(tmp_path / "tiny.weights.h5") as file:
        assert len(file) > 0
    second = FasterRCNN.from_preset(
        "quickstart", num_classes=1, seed=2, weights=tmp_path / "tiny.weights.h5"
    )
    for own, other in zip(
        first.backbone.get_weights(), second.backbone.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(own, other)
    assert np.any(
        first.rpn.head.convs[0].kernel.numpy()
        != second.rpn.head.convs[0].kernel.numpy()
    )


@pytest.mark.slow
def test_a_run_folder_has_its_weights_classes_and_settings(run_folder, same_detections):
    model = FasterRCNN.from_preset(run_folder)
    assert model.class_names == SHAPE_CLASSES
    assert model.settings.images.short_side == 96
    same_detections(model, tf_frcnn.load(run_folder))
    named = FasterRCNN.from_preset(run_folder, class_names=SHAPE_CLASSES)
    same_detections(model, named)


@pytest.mark.slow
def test_settings_of_a_run_folder_may_be_replaced(run_folder, pictures):
    model = FasterRCNN.from_preset(run_folder, detections={"max_per_image": 2})
    assert [len(found.names) for found in model.detect(pictures)] == [2, 2]


def test_with_other_classes_the_rest_of_the_weights_stays(run_folder, capsys):
    old = FasterRCNN.from_preset(run_folder)
    new = FasterRCNN.from_preset(run_folder, class_names=["x"])
    assert new.class_names == ("x",)
    assert "predictor starts from random weights" in capsys.readouterr().out
    for part in ("backbone", "rpn"):
        for own, other in zip(
            getattr(old, part).get_weights(),
            getattr(new, part).get_weights(),
            strict=True,
        ):
            np.testing.assert_array_equal(own, other)


def test_classes_in_another_order_would_be_mistaken_for_each_other(run_folder):
    with pytest.raises(ValueError, match=r"another order: .*class_names=model.class_n"):
        FasterRCNN.from_preset(run_folder, class_names=SHAPE_CLASSES[::-1])


def test_a_model_of_one_stage_is_none_of_two(tmp_path):
    settings = {"model": {"kind": "rpn"}, **SMALL}
    with pytest.raises(TypeError, match="is a ProposalNetwork, not a FasterRCNN"):
        FasterRCNN.from_preset("quickstart", num_classes=1, **settings)
    model = Detector.from_preset("quickstart", num_classes=1, **settings)
    assert isinstance(model, ProposalNetwork)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({}, ValueError, "a recipe has no classes of its own; give class_names"),
        ({"class_names": ["a", "a"]}, ValueError, "has 'a' twice"),
        ({"class_names": ["a"], "num_classes": 2}, ValueError, "has 1 names; give one"),
        ({"num_classes": 0}, ValueError, "num_classes = 0"),
        (
            {"num_classes": 1, "images": {"shortside": 3}},
            ConfigError,
            "from_preset: images.shortside is not a setting; did you mean images.short",
        ),
        (
            {"num_classes": 1, "roi": {"pooling": "alig"}},
            ConfigError,
            "roi.pooling = 'alig' must be one of crop, pool, align; did you mean 'alig",
        ),
        ({"num_classes": 1, "box_format": "xxyy"}, ValueError, "box_format = 'xxyy'"),
        (
            {"num_classes": 1, "weights": "imagenet"},
            ConfigError,
            "tiny has no pretrained weights",
        ),
        (
            {"num_classes": 1, "weights": "coco"},
            ValueError,
            "weights = 'coco': quickstart has random, or the path",
        ),
        (
            {"num_classes": 1, "weights": "radom"},
            ValueError,
            "HDF5 file; did you mean random?",
        ),
        ({"num_classes": 1, "weights": "w/x"}, FileNotFoundError, "no such file"),
        ({"num_classes": 1, "weights": "x.h5"}, FileNotFoundError, "x.h5"),
    ],
)
def test_wrong_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        FasterRCNN.from_preset("quickstart", **arguments)


def test_an_unknown_preset_is_named_with_those_alike():
    with pytest.raises(ConfigError, match=r"vgg_voc07: .* did you mean vgg16_voc07"):
        FasterRCNN.from_preset("vgg_voc07", num_classes=1)


def test_a_folder_without_a_model_is_no_preset(tmp_path):
    with pytest.raises(FileNotFoundError, match="is not a run folder: it has no conf"):
        FasterRCNN.from_preset(tmp_path, num_classes=1)


def test_weights_are_not_for_a_folder(run_folder):
    with pytest.raises(
        ValueError, match="has its own weights; weights = 'imagenet' is"
    ):
        FasterRCNN.from_preset(run_folder, weights="imagenet")
