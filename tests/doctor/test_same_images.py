import pytest

from tf_frcnn.doctor.copies import Copies
from tf_frcnn.doctor.findings import KINDS, Place
from tf_frcnn.doctor.same_images import objects_of, same_image_findings

BOX, OTHER = (10, 10, 200, 200), (20, 20, 90, 90)
A, B, C = Place("train", 0), Place("train", 1), Place("val", 0)


@pytest.fixture
def findings_of(make_set):
    def findings(same=(), alike=(), objects=((0, BOX),) * 2):
        splits = {
            "test": make_set("test", ["ape"], [[(0, BOX)], []]),
            "train": make_set("train", ["ape"], [[one] for one in objects]),
            "val": make_set("val", ["ape"], [[(0, BOX)], []]),
        }
        found = same_image_findings(Copies(tuple(same), tuple(alike)), splits, "train")
        return {f.kind: (f.message, f.files) for f in found}

    return findings


def test_images_in_two_splits(findings_of):
    message = (
        "1 of the 2 val images are train images, too: its figures say little about new "
        "images."
    )
    assert findings_of([(A, C)]) == {
        "shared_images": (message, ("train_0.png", "val_0.png"))
    }


def test_images_in_two_splits_to_measure_on(findings_of):
    message, files = findings_of([(Place("test", 0), C)])["measured_twice"]
    assert message.startswith("1 of the 2 val images are test images, too: if one ")
    assert files == ("test_0.png", "val_0.png")
    in_all = findings_of([(A, C, Place("test", 0))])
    assert {*in_all} == {"shared_images", "measured_twice"}
    assert "training split" not in KINDS["measured_twice"].remedy


def test_a_copy_within_a_split(findings_of):
    found = findings_of([(A, B)])
    files = ("train_0.png", "train_1.png")
    message = "Copies of other images of the same split: 1."
    assert found == {"repeated_images": (message, files)}
    found = findings_of([(A, B)], objects=[(0, BOX), (0, OTHER)])
    message = "Images that recur with other objects: 1."
    assert found["same_image_other_objects"] == (message, files)


def test_images_that_look_alike(findings_of):
    found = findings_of(alike=[(A, C), (A, B)])
    assert {kind: files[1] for kind, (_, files) in found.items()} == {
        "alike_across_splits": "val_0.png",
        "alike_within_split": "train_1.png",
    }


def test_objects_are_compared_by_name_and_in_any_order(make_set):
    one = make_set("one", ["ape", "bee"], [[(0, BOX), (1, OTHER)]])
    other = make_set("other", ["bee", "ape"], [[(0, OTHER), (1, BOX)]])
    third = make_set("third", ["ape", "bee"], [[(0, BOX), (1, OTHER, True)]])
    splits = {"one": one, "other": other, "third": third}
    objects = {split: objects_of(Place(split, 0), splits) for split in splits}
    assert objects["one"] == objects["other"] != objects["third"]
