import json

import pytest

from tests.helpers.paths import SHARED
from tf_frcnn.config import load_config, make_config
from tf_frcnn.data import read_voc
from tf_frcnn.doctor.anchors import Reach, anchor_report

BCCD = SHARED / "data" / "bccd"


@pytest.fixture
def config():
    """One square anchor of 32 pixels, at the middle of every cell of 16."""
    anchors = {"style": "centred", "ratios": [1.0], "scales": [2.0]}
    images = {"short_side": 160, "long_side": 320}
    return make_config({"anchors": anchors, "images": images}, "test")


def test_rows_have_the_shares_of_each_class_and_band(set_of, config):
    whole, half = (24, 24, 56, 56), (24, 24, 56, 40)  # IoU 1 and 0.5 with an anchor
    far = (0, 0, 160, 320)
    images = [(160, 320, [whole, half, far, whole], [0, 0, 0, 1])]
    report = anchor_report(set_of(images, ("a", "b", "none")), config)
    assert report.rows == (
        Reach("a", "all", 3, 2 / 3, 1 / 3),
        Reach("a", "16-32", 1, 1.0, 0.0),
        Reach("a", "32-64", 1, 1.0, 1.0),
        Reach("a", "128-256", 1, 0.0, 0.0),
        Reach("b", "all", 1, 1.0, 1.0),
        Reach("b", "32-64", 1, 1.0, 1.0),
    )
    assert report.by_class == (report.rows[0], report.rows[4])
    assert report.ceiling == 0.75
    assert report.class_ceiling == pytest.approx(5 / 6)
    assert (report.smallest_anchor, report.largest_anchor) == (32.0, 32.0)
    assert (report.anchors_per_position, report.strides) == (1, (16,))
    assert report.image_size == (160, 320)


def test_a_class_below_the_smallest_anchor_is_named_and_one_above_the_largest(
    squares_of,
):
    classes = {"dot": (24, 2), "cell": (110, 4), "slide": (470, 1)}
    settings = ["anchors.scales=[8]", "images.short_side=480"]
    config = load_config("vgg16_voc07", settings)
    report = anchor_report(squares_of(classes), config)
    assert (report.too_small, report.too_large) == (("dot",), ("slide",))
    assert "Most objects lie below the smallest anchor: dot." in report.table()
    assert "Most objects lie above the largest anchor: slide." in report.sentences()


def test_a_class_of_fitting_size_is_neither_small_nor_large(set_of, config):
    narrow = (10, 8, 14, 264)  # as large as an anchor, but none is like it
    report = anchor_report(set_of([(160, 320, [narrow], [0])], ("a",)), config)
    assert report.ceiling == 0.0
    assert report.too_small == report.too_large == ()


def test_the_table_shows_each_row_and_json_holds_all(squares_of, config):
    report = anchor_report(squares_of({"dot": (24, 2), "cell": (110, 4)}), config)
    lines = report.table().splitlines()
    assert lines[0].split() == ["class", "side", "objects", "IoU", "0.5", "IoU", "0.7"]
    assert lines[1].split()[:3] == ["dot", "all", "24"]
    assert len(lines) == 1 + len(report.rows) + 1 + len(report.sentences())
    held = json.loads(json.dumps(report.to_json()))
    assert held["rows"][0]["class_name"] == "dot"
    assert held["ceiling"] == report.ceiling


def test_a_set_without_objects_has_an_empty_table(set_of, config):
    report = anchor_report(set_of([(160, 320, [], [])], ("a",)), config)
    assert (report.rows, report.ceiling, report.too_small) == ((), 0.0, ())
    assert "class" in report.table()


@pytest.mark.skipif(
    not BCCD.is_dir(),
    reason=f"BCCD is not in {BCCD}; set TF_FRCNN_SHARED to the folder of data/bccd",
)
def test_platelets_lie_below_the_smallest_anchor_of_the_paper():
    report = anchor_report(read_voc(BCCD, "trainval"), load_config("vgg16_voc07"))
    assert report.too_small == ("Platelets",)
    reach = {row.class_name: row.reach_50 for row in report.by_class}
    assert reach["Platelets"] < 0.01
    assert reach["RBC"] > 0.98 and reach["WBC"] > 0.98
