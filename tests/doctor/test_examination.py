import json

import pytest

from tests.helpers.planted_faults import FAULTS
from tf_frcnn.config import make_config
from tf_frcnn.doctor.examination import (
    as_json,
    examine,
    training_split,
    without_joined,
)
from tf_frcnn.doctor.findings import SEVERITIES

BOX = (10, 10, 200, 200)
# Fault -> a part of the message or a file by which it is told from others of its kind.
SIGNS = {
    "a class that is in val alone": "'fox'",
    "a class all of whose objects are difficult": "'owl'",
    "a class with one object": "'rat' 1",
    "a class that is in train alone": "'eel'",
    "background as a class": "'background' is a class",
    "Cat and cat": "'Cat' and 'cat'",
    "tree and trees": "'tree' and 'trees'",
    "bicycle and bicyle": "'bicycle' and 'bicyle'",
    "a file in train and in val": "in_two_splits.jpg",
    "an image in train, and smaller and brighter in test": "after.jpg",
    "a file twice in train": "twice_b.jpg",
    "an image twice in train, in JPEG and in PNG": "as_png.png",
    "a file twice in train with other objects": "objects_b.jpg",
    "an object twice": "object_twice.jpg",
    "an object with two classes": "two_classes.jpg",
    "a box of the whole image": "whole_image.jpg",
    "a box of three pixels": "three_pixels.jpg",
    "a box like a thread": "thread.jpg",
    "many images without an object": "without an object: 90 of",
    "a box without area": "zero_area_box, 1 in all; the first is Annotations/no_area",
    "a file that is cut off": "unreadable_image, 4 in all",
    "an image without XML": "no_xml.xml",
    "an XML file that is cut off": "cut_xml.xml",
    "a name in a list without an image": "no_image",
    "corners in the wrong order": "swapped.xml",
    "a box that leaves the image": "outside.xml",
    "pixels counted from 0": "begins at pixel 0",
    "many files that cannot be read": "4 of the 11 images of test",
    "objects smaller than any anchor": "'ant' 100% of 25",
}


@pytest.mark.parametrize(("fault", "kind"), FAULTS.items(), ids=[*FAULTS])
def test_a_planted_fault_is_found(examined, fault, kind):
    found = [f for f in examined.findings if f.kind == kind]
    assert any(SIGNS[fault] in text for f in found for text in (f.message, *f.files)), (
        found
    )


def test_there_are_enough_faults_and_no_finding_without_one(examined):
    assert len(FAULTS) >= 20 and SIGNS.keys() == FAULTS.keys()
    assert {f.kind for f in examined.findings} == {*FAULTS.values()}
    severities = [SEVERITIES.index(f.severity) for f in examined.findings]
    assert severities == sorted(severities) and examined.is_serious


def test_the_numbers_of_a_split(examined):
    test, train, val = sorted(examined.splits)
    assert (test.images, test.lost, test.objects) == (7, 4, 13)
    assert (train.lost, train.negatives, train.difficult) == (3, 90, 1)
    assert (val.images, val.lost) == (14, 0) and examined.training == "train"


def test_an_examination_is_json(examined):
    written = json.loads(json.dumps(as_json(examined)))
    finding = written["findings"][0]
    assert finding["kind"] == "shared_images" and finding["severity"] == "serious"
    assert finding["files"][0].endswith("in_two_splits.jpg") and finding["remedy"]
    assert written["splits"][0]["images"] and written["classes"][0]["objects"]["train"]
    assert written["advice"]["before"]["rows"] and written["sizes"][0]["bands"]


@pytest.fixture
def sound(make_set):
    images = [[(0, BOX), (1, (20, 20, 250, 120))]] * 20
    names = ("train", "val", "test")
    return {name: make_set(name, ["ape", "bee"], images) for name in names}


@pytest.fixture
def examine_sets():
    def run(sets, failed=(), **settings):
        return examine("data", sets, make_config(settings, "the test"), dict(failed))

    return run


def test_nothing_is_found_in_a_sound_set(examine_sets, sound):
    found = examine_sets(sound)
    assert found.findings == () and not found.is_serious and found.joined == ()


def test_a_split_that_cannot_be_read_is_serious(examine_sets, sound):
    found = examine_sets(sound, {"more": "more has no image."})
    assert [f.message for f in found.findings] == ["more: more has no image."]
    assert found.is_serious


def test_where_a_split_cannot_be_read_the_others_are_not_all_there_is(
    examine_sets, sound
):
    found = examine_sets({"val": sound["val"]}, {"train": "no folder."})
    assert [f.kind for f in found.findings] == ["unreadable_split"]


def test_one_split_is_too_few(examine_sets, sound):
    assert [f.kind for f in examine_sets({"": sound["train"]}).findings] == [
        "no_validation"
    ]


def test_without_an_object_there_are_no_anchors_to_measure(examine_sets, make_set):
    found = examine_sets({"train": make_set("train", ["ape"], [[], []])})
    assert found.advice is None and found.sizes == ()
    assert [f.kind for f in found.findings] == ["no_objects", "no_validation"]


def test_the_size_of_the_network_counts(examine_sets, make_set):
    sets = {"train": make_set("train", ["ape"], [[(0, (0, 0, 9, 9))]] * 20)}
    small, large = (
        examine_sets(sets, images={"short_side": side, "long_side": 3 * side})
        for side in (150, 600)
    )
    kinds = [{f.kind for f in found.findings} for found in (small, large)]
    assert "tiny_boxes" in kinds[0] and "tiny_boxes" not in kinds[1]
    assert large.sizes[0].median == 4 * small.sizes[0].median == 18


def test_a_split_that_is_made_of_others_is_left_out(sound):
    train, val = sound["train"], sound["val"]
    both = train.subset([0, 1]), train.subset([*range(2, 20)])
    sets = {"trainval": train, "train": both[1], "val": both[0], "test": val}
    splits, joined = without_joined(sets)
    assert [*splits] == ["train", "val", "test"] and joined == ("trainval",)
    assert without_joined({"a": train, "b": train})[1] == ()


@pytest.mark.parametrize(
    ("names", "training"),
    [
        (["test", "train"], "train"),
        (["val2017", "train2017"], "train2017"),
        (["few", "many"], "many"),
        ([""], ""),
    ],
)
def test_the_training_split_is_found_by_its_name_or_its_size(sound, names, training):
    sets = {name: sound["train"].subset(range(1 + n)) for n, name in enumerate(names)}
    assert training_split(sets) == training
