import json

import pytest

from tests.helpers.paths import SHARED
from tf_frcnn.config import load_config, make_config
from tf_frcnn.data import DataError, read_voc
from tf_frcnn.doctor.advice import advise

BCCD = SHARED / "data" / "bccd"


@pytest.fixture
def default():
    return make_config({}, "test")


def with_settings(config, settings):
    texts = [f"{path}={json.dumps(value)}" for path, value in settings.items()]
    return make_config(config.model_dump(mode="json"), "test", texts=texts)


def test_the_advice_reaches_a_class_that_lay_below_the_smallest_anchor(
    squares_of, default
):
    examples = squares_of({"dot": (40, 2), "cell": (110, 10)})
    advice = advise(examples, default)
    assert advice.before.too_small == ("dot",)
    assert advice.after.too_small == ()
    assert advice.before.class_ceiling < 0.55
    assert advice.after.class_ceiling > 0.95
    assert advice.settings["images.short_side"] == 480
    assert advice.settings["images.long_side"] == 640
    assert min(advice.settings["anchors.scales"]) * 16 <= 40
    assert advice.settings["anchors.style"] == "centred"


def test_the_settings_are_those_of_the_report_after_them(squares_of, default):
    examples = squares_of({"dot": (40, 2), "cell": (110, 10)})
    advice = advise(examples, default)
    again = advise(examples, with_settings(default, advice.settings))
    assert again.before == advice.after
    assert again.settings == {}
    assert again.text().startswith("The anchors fit")


def test_reasons_have_the_numbers_of_the_data(squares_of, default):
    advice = advise(squares_of({"dot": (40, 2), "cell": (110, 10)}), default)
    assert len(advice.reasons) == 2
    assert "480 x 640 pixels (median)" in advice.why["images.short_side"]
    assert "dot 40-40, cell 110-110" in advice.why["anchors.scales"]
    assert json.loads(json.dumps(advice.to_json()))["reasons"] == advice.reasons
    assert "images.short_side = 480" in advice.text()


def test_images_are_enlarged_where_objects_are_too_small_for_the_cells(
    squares_of, default
):
    advice = advise(squares_of({"dot": (14, 6)}, height=240, width=320), default)
    assert advice.settings.get("images.short_side", 600) > 400
    assert advice.after.class_ceiling > 0.9
    assert "instead of" in advice.why["images.short_side"]


def test_images_of_a_preset_do_not_shrink(squares_of):
    config = load_config("torchvision_resnet50_fpn")
    examples = squares_of({"cell": (110, 10)})
    shrunk = advise(examples, config).settings
    assert shrunk["images.short_side"] == 480
    kept = advise(examples, config, may_shrink=False).settings
    assert not [path for path in kept if path.startswith("images.")]


def test_anchors_that_fit_stay_although_others_do_too(squares_of):
    anchors = {"style": "centred", "ratios": [1.0], "scales": [6.0, 7.0, 8.0]}
    config = make_config({"anchors": anchors}, "test")
    assert not advise(squares_of({"cell": (110, 10)}), config).settings.keys() & {
        "anchors.scales",
        "anchors.ratios",
    }


def test_large_files_are_shrunk_to_the_recipe_s_size(squares_of, default):
    examples = squares_of({"cell": (900, 2)}, height=3000, width=4000)
    advice = advise(examples, default)
    assert "images.short_side" not in advice.settings
    assert advice.after.image_size == (600, 800)


def test_images_have_no_more_pixels_than_torchvisions(squares_of, default):
    panoramas = squares_of({"sign": (60, 4)}, height=500, width=9000)
    settings = advise(panoramas, default).settings
    assert settings["images.short_side"] * settings["images.long_side"] <= 800 * 1333
    dots = squares_of({"dot": (9, 4)}, height=480, width=640)
    advice = advise(dots, default)
    assert "cells of a pyramid" in advice.why["images.short_side"]
    settings = advice.settings
    assert 700 < settings["images.short_side"]
    assert settings["images.short_side"] * settings["images.long_side"] <= 800 * 1333


def test_what_is_to_stay_stays(squares_of, default):
    examples = squares_of({"dot": (40, 2), "cell": (110, 10)})
    no_size = advise(examples, default, keep=["images.short_side"]).settings
    assert {path.partition(".")[0] for path in no_size} == {"anchors"}
    fixed = ["images.short_side", "images.long_side"]
    long = make_config({"images": {"short_side": 900}}, "test")
    assert "images.long_side" not in advise(examples, long, keep=fixed).settings
    no_anchors = advise(examples, default, keep=["anchors.scales"]).settings
    assert {path.partition(".")[0] for path in no_anchors} == {"images"}


def test_the_long_side_follows_a_short_side_that_was_given(squares_of):
    examples = squares_of({"dot": (40, 2)}, height=480, width=640)
    given = make_config({"images": {"short_side": 900, "long_side": 1000}}, "test")
    advice = advise(examples, given, keep=["images.short_side"])
    assert advice.settings["images.long_side"] == 1200
    assert "up to 1200 pixels" in advice.why["images.long_side"]
    assert "images.short_side" not in advice.settings


def test_small_objects_on_the_border_take_anchors_that_cross_it(set_of):
    images = {"short_side": 480, "long_side": 640}
    default = make_config({"images": images}, "test")
    dots = [(0, x, 24, x + 24) for x in range(0, 600, 40)]
    examples = set_of([(480, 640, dots, [0] * len(dots))], ("dot",))
    advice = advise(examples, default, keep=["images.short_side"])
    assert advice.settings["rpn.allowed_border"] is None
    assert "cross the border" in advice.why["rpn.allowed_border"]
    stays = ["images.short_side", "rpn.allowed_border"]
    within = advise(examples, default, keep=stays)
    assert (within.after.ceiling, advice.after.ceiling) == (0.0, 1.0)


def test_proposals_may_be_as_narrow_as_the_objects(squares_of):
    config = load_config("vgg16_voc07")  # proposals of at least 16 pixels of the file
    dots = advise(squares_of({"dot": (14, 6)}), config)
    assert dots.settings["proposals.min_size"] == 0.0
    assert "100.0% of dot" in dots.why["proposals.min_size"]
    assert (
        "proposals.min_size" not in advise(squares_of({"a": (17, 6)}), config).settings
    )


def test_a_set_without_objects_is_named(set_of, default):
    with pytest.raises(DataError, match="drawn: no image has an object to learn"):
        advise(set_of([(160, 320, [], [])], ("a",)), default)


@pytest.mark.slow
@pytest.mark.skipif(
    not BCCD.is_dir(),
    reason=f"BCCD is not in {BCCD}; set TF_FRCNN_SHARED to the folder of data/bccd",
)
def test_blood_cells_get_anchors_at_least_as_good_as_those_chosen_by_hand(default):
    advice = advise(read_voc(BCCD, "trainval"), default)
    by_hand = advise(read_voc(BCCD, "trainval"), load_config("bccd_vgg16")).before
    assert advice.settings["images.short_side"] == 480
    assert advice.after.class_ceiling >= by_hand.class_ceiling
    for own, other in zip(advice.after.by_class, by_hand.by_class, strict=True):
        assert own.reach_50 >= other.reach_50 and own.reach_70 > other.reach_70
