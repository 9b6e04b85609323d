import pytest

from tf_frcnn import FasterRCNN
from tf_frcnn.assembly import build_model
from tf_frcnn.config import load_config, recipe_names

PRESETS = FasterRCNN.presets()


def test_every_recipe_is_listed_with_what_its_head_says():
    assert [*PRESETS] == recipe_names()
    paper = PRESETS["vgg16_voc07"]
    assert paper.title.startswith("VGG16 on VOC07 trainval, approximate joint training")
    assert paper.source == "Ren et al. 2015"
    assert paper.figure.startswith("published: mAP 0.699") and paper.millions == 137.1
    assert PRESETS["quickstart"].figure == "here: mAP 0.872"
    assert PRESETS["quickstart"].source == ""


def test_published_weights_are_named():
    assert "coco" in PRESETS["torchvision_resnet50_fpn"].weights
    assert PRESETS["quickstart"].weights == ()


@pytest.mark.slow
@pytest.mark.parametrize("name", recipe_names())
def test_the_size_is_that_of_the_model(name):
    classes = tuple(f"class {label}" for label in range(20))
    model = build_model(load_config(name), classes)
    assert PRESETS[name].millions == round(model.count_params() / 1e6, 1)
