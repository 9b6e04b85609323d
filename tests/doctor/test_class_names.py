import pytest

from tf_frcnn.checkpoints.class_lists import COCO, VOC
from tf_frcnn.doctor.class_names import is_background, near_equal_pairs, plain


@pytest.mark.parametrize(
    ("first", "second", "difference"),
    [
        ("Car", "car", "case or blanks"),
        ("car ", "car", "case or blanks"),
        ("traffic_light", "traffic light", "case or blanks"),
        ("Stop-Sign", "stopsign", "case or blanks"),
        ("dog", "dogs", "singular and plural"),
        ("boxes", "box", "singular and plural"),
        ("baby", "babies", "singular and plural"),
        ("bicycle", "bicyle", "one letter"),
        ("bicycle", "bicicle", "one letter"),
        ("person", "perosn", "one letter"),
    ],
)
def test_names_that_are_nearly_equal_are_paired(first, second, difference):
    assert [*near_equal_pairs([first, "tree", second])] == [(first, second, difference)]


@pytest.mark.parametrize(
    "names",
    [
        ("cat", "car"),
        ("speed30", "speed80"),
        ("class 1", "class 2"),
        ("v1_0", "v10"),
        ("horse", "mouse"),
        ("male", "female"),
        VOC,
        tuple(name for name in COCO if name),
    ],
)
def test_other_names_are_not(names):
    assert [*near_equal_pairs(names)] == []


def test_a_plain_name_has_no_case_blanks_and_signs():
    assert plain(" Traffic_Light-Red ") == "trafficlightred"
    assert plain("Speed 1_0") == "speed1-0"


@pytest.mark.parametrize("name", ["background", "__background__", "BG", "Back-ground"])
def test_the_background_is_recognised(name):
    assert is_background(name)
    assert not is_background(f"{name} car")
