import pytest

from tf_frcnn.config import make_config
from tf_frcnn.doctor.brief import brief_findings

BOX = (10, 10, 200, 200)


@pytest.fixture
def brief(make_set):
    """Returns kind -> message of what is found in sets of objects by image."""

    def find(names, train, val, **settings):
        sets = {"train": make_set("train", names, train)}
        sets["val"] = make_set("val", names, val)
        found = brief_findings(sets, make_config(settings, "the test"))
        return {finding.kind: finding.message for finding in found}

    return find


def test_a_sound_set_is_passed_over(brief):
    assert brief(["ape"], [[(0, BOX)]], [[(0, BOX)]]) == {}


def test_warnings_are_not_told(brief):
    assert brief(["ape", "bee"], [[(0, BOX)], []], [[(0, BOX)]]) == {}


def test_what_costs_hours_is_told(brief, make_set):
    tiny = (10, 10, 15, 15)
    found = brief(
        ["Ape", "ape", "background", "bee"],
        [[(0, tiny), (1, tiny), (2, BOX)]],
        [[(3, BOX)]],
    )
    assert found == {
        "class_not_learned": "Class 'bee' is not learned; its objects by split: train "
        "0, val 1.",
        "background_class": "'background' is a class; its objects: 1.",
        "near_equal_names": "'Ape' and 'ape' differ in case or blanks; their objects: "
        "1 and 1.",
        "out_of_reach": "Objects that overlap no anchor at an IoU of 0.5: 'Ape' 100% "
        "of 1, 'ape' 100% of 1; anchors have sides of 123 to 531 pixels.",
    }


def test_a_set_of_negatives_is_told(brief):
    assert [*brief(["ape"], [[], []], [[(0, BOX)]])] == ["no_objects"]


def test_images_are_compared_with_those_to_train_on(make_set):
    sets = {
        split: make_set(split, ["ape"], [[(0, BOX)]] * 2, contents)
        for split, contents in {
            "train": [b"a", b"b"],
            "val": [b"c", b"b"],
            "test": [b"c", b"d"],
        }.items()
    }
    (found,) = brief_findings(sets, make_config({}, "the test"))
    assert found.kind == "shared_images" and found.message.startswith(
        "1 of the 2 val images are train images"
    )


def test_stored_proposals_need_no_anchor(brief):
    tiny, config = [[(0, (10, 10, 15, 15))]], {"model": {"kind": "fast_rcnn"}}
    config |= {"data": {"proposals": "a folder"}}
    assert brief(["ape"], tiny, tiny, **config) == {}
    assert [*brief(["ape"], tiny, tiny)] == ["out_of_reach"]
