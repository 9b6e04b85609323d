import pytest
import yaml

from tf_frcnn.config import load_config
from tf_frcnn.doctor.recipe import build_recipe

DATA = {
    "reader": "voc",
    "directory": "/data/my cells: all",
    "train_split": "train",
    "validation_split": "val",
    "test_split": "test",
}


@pytest.fixture
def cells(squares_of):
    return squares_of({"dot": (40, 1), "cell": (110, 12)})


def load(recipe, folder):
    path = folder / "new.yaml"
    path.write_text(recipe.text("Made for cells.\n\nIt has a heading."))
    return load_config(path)


@pytest.mark.parametrize("base", ["own_images", "vgg16_voc07", "quickstart"])
def test_the_file_is_the_configuration(cells, tmp_path, base):
    recipe = build_recipe(DATA, cells, cells, base=base)
    assert load(recipe, tmp_path) == recipe.config
    assert recipe.config.data.directory == "/data/my cells: all"
    assert recipe.base == base


def test_advice_and_rules_are_in_it(cells, tmp_path):
    config = load(build_recipe(DATA, cells, cells, can_bfloat16=True), tmp_path)
    assert config.images.short_side == 480
    assert min(config.anchors.scales) * 8 == 40  # the dots, in pixels
    assert config.train.optimizer == "adam"
    assert config.train.precision == "bfloat16"
    assert config.roi.num_samples == 256
    assert config.backbone.weights == "imagenet"
    assert config.evaluation.metric == "area"


def test_overrides_win_and_what_depends_on_them_follows(cells, tmp_path):
    texts = ["train.epochs=8", "images.short_side=400", "images.long_side=600"]
    recipe = build_recipe(DATA, cells, cells, overrides=texts)
    config = load(recipe, tmp_path)
    assert config.train.epochs == 8 and config.train.validation_every == 7
    assert (config.images.short_side, config.images.long_side) == (400, 600)
    assert recipe.advice.after.image_size == (400, 533)
    assert recipe.text("x").count("Given by --set.") == 2  # in images and train


def test_a_setting_without_a_section_and_whole_sections_are_written_as_well(
    cells, tmp_path
):
    texts = ["seed=7", "images={short_side: 400, long_side: 600}"]
    texts += ["conventions=torchvision", "train.epochs=8"]
    config = load(build_recipe(DATA, cells, cells, overrides=texts), tmp_path)
    assert (config.seed, config.train.epochs) == (7, 8)
    assert (config.images.short_side, config.images.long_side) == (400, 600)
    assert config.conventions.base == "torchvision"


def test_anchors_given_by_the_user_are_not_advised_on(cells, tmp_path):
    recipe = build_recipe(DATA, cells, cells, overrides=["anchors.scales=[8]"])
    assert not [p for p in recipe.advice.settings if p.startswith("anchors.")]
    assert load(recipe, tmp_path).anchors.ratios == (0.5, 1.0, 2.0)


def test_settings_that_weights_were_trained_for_stay(cells, tmp_path):
    recipe = build_recipe(DATA, cells, cells, base="vgg16_voc07", is_trained=True)
    config, own = load(recipe, tmp_path), load_config("vgg16_voc07")
    assert config.anchors == own.anchors
    sides = [(c.images.short_side, c.images.long_side) for c in (config, own)]
    assert sides[0] == sides[1]
    assert config.roi.head_units == own.roi.head_units
    assert "Given by --set" not in recipe.text("x")
    other = build_recipe(DATA, cells, cells, base="vgg16_voc07").config
    assert other.anchors != own.anchors and other.roi.head_units != own.roi.head_units


def test_images_of_a_base_keep_their_size(cells, tmp_path):
    recipe = build_recipe(DATA, cells, cells, base="vgg16_voc07")
    assert load(recipe, tmp_path).images.short_side == 600


def test_every_setting_has_a_reason_above_it_and_lines_are_short(cells):
    text = build_recipe(DATA, cells, cells, base="vgg16_voc07").text("Made for cells.")
    assert text.startswith("# Made for cells.\nbase: vgg16_voc07\ndata:\n")
    assert max(map(len, text.splitlines())) <= 88
    body = yaml.safe_load(text)
    lines = text.splitlines()
    for section in body.keys() - {"base", "data"}:
        assert lines[lines.index(f"{section}:") + 1].startswith("  # ")
