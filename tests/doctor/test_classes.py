import pytest

from tf_frcnn.doctor.classes import class_findings, class_table
from tf_frcnn.doctor.findings import Place

BOX = (10, 10, 200, 200)


@pytest.fixture
def findings_of(make_set):
    """Returns kind -> message of the findings about sets of labels by image."""

    def findings(names, train, val=None, **settings):
        images = {"train": train} | ({} if val is None else {"val": val})
        splits = {
            split: make_set(split, names, [[(n, BOX) for n in one] for one in own])
            for split, own in images.items()
        }
        found = class_findings(class_table(splits), "train", **settings)
        return {finding.kind: finding.message for finding in found}

    return findings


def test_objects_and_images_are_counted_by_split(make_set):
    train = make_set("train", ["ape", "bee"], [[(0, BOX), (0, BOX, True)], [(1, BOX)]])
    val = make_set("val", ["bee", "cow"], [[(0, BOX)], []])
    ape, bee, cow = class_table({"train": train, "val": val})
    assert (ape.name, bee.name, cow.name) == ("ape", "bee", "cow")
    assert ape.objects == {"train": 2, "val": 0}
    assert ape.images == {"train": 1, "val": 0}
    assert ape.difficult == {"train": 1, "val": 0}
    assert bee.objects == {"train": 1, "val": 1} and bee.total == 2
    assert bee.places == (Place("train", 1), Place("val", 0))
    assert bee.files == ("train_1.png", "val_0.png")
    assert cow.objects == {"train": 0, "val": 0}
    assert ape.to_learn("train") == 1 and ape.to_learn("train", on_difficult=True) == 2


def test_enough_objects_of_each_class_are_no_finding(findings_of):
    assert findings_of(["ape", "bee"], [[0, 1]] * 20, [[0, 1]]) == {}


def test_a_class_that_training_lacks(findings_of):
    found = findings_of(["ape", "bee"], [[0]] * 20, [[0, 1]])
    assert found == {
        "class_not_learned": "Class 'bee' is not learned; its objects by split: train "
        "0, val 1."
    }


def test_a_class_that_nobody_has_costs_nothing(findings_of):
    found = findings_of(["ape", "bee"], [[0]] * 20, [[0]])
    assert found == {"unused_class": "Classes without any object: 'bee'."}


def test_few_objects_and_none_to_measure_on(findings_of):
    found = findings_of(["ape", "bee"], [[0, 1], *[[0]] * 20], [[0]])
    assert found == {
        "rare_class": "Classes with few objects in train: 'bee' 1.",
        "class_not_validated": "Classes that are in train only: 'bee'.",
    }


def test_difficult_objects_are_not_learned_unless_they_are_to_be(make_set):
    train = make_set("train", ["ape", "bee"], [[(0, BOX), (1, BOX, True)]] * 20)
    table = class_table({"train": train})
    (found,) = class_findings(table, "train")
    assert found.message == (
        "Class 'bee' is not learned; its objects in train are all difficult: 20."
    )
    assert [*class_findings(table, "train", on_difficult=True)] == []


def test_a_split_without_objects(findings_of):
    found = findings_of(["ape", "bee"], [[], []], [[0], [1]])
    assert found == {"no_objects": "No image of train has an object to learn."}


def test_a_background_is_no_rare_class(findings_of):
    found = findings_of(["ape", "__background__"], [[0]] * 20 + [[1]], [[0, 1]])
    assert found == {"background_class": "'__background__' is a class; its objects: 2."}


def test_names_that_differ_in_a_letter_are_serious_where_one_is_rare(findings_of):
    names = ["bicycle", "bicyle"]
    rare = findings_of(names, [[0]] * 200 + [[1]] * 20, [[0, 1]])
    often = findings_of(names, [[0]] * 199 + [[1]] * 21, [[0, 1]])
    assert [*rare] == ["similar_names"]  # With val it is 21 of 201.
    assert [*often] == ["similar_names"]
    rare = findings_of(names, [[0]] * 210 + [[1]] * 20, [[0, 1]])
    assert rare == {
        "near_equal_names": "'bicycle' and 'bicyle' differ in one letter; their "
        "objects: 211 and 21."
    }


def test_the_files_of_the_rarer_name_are_named(make_set):
    images = [[(0, BOX)]] * 20 + [[(1, BOX)]]
    (found,) = [
        finding
        for finding in class_findings(
            class_table({"train": make_set("train", ["Car", "car"], images)}), "train"
        )
        if finding.kind == "near_equal_names"
    ]
    assert found.files == ("train_20.png",) and found.images == (Place("train", 20),)
