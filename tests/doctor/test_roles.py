import pytest

from tf_frcnn.data import DataError
from tf_frcnn.doctor.roles import choose_roles


@pytest.mark.parametrize(
    ("splits", "roles"),
    [
        (["train", "val", "test"], ("train", "val", "test")),
        (["test", "Valid", "Training"], ("Training", "Valid", "test")),
        (["train2017", "val2017", "test2017"], ("train2017", "val2017", "test2017")),
        (["train", "validation"], ("train", "validation", "validation")),
        (["trainval", "test"], ("trainval", "test", "test")),
        (["train", "test"], ("train", "test", "test")),
        (["all"], ("all", "all", "all")),
        ([""], ("train", "train", "train")),
    ],
)
def test_splits_are_chosen_by_their_names(splits, roles):
    assert choose_roles(splits, "voc")[:3] == roles


def test_notes_say_what_is_missing():
    assert choose_roles(["train", "val", "test"], "coco").notes == ()
    (note,) = choose_roles(["train", "val"], "coco").notes
    assert note.startswith("There is no test split")
    (note,) = choose_roles(["train", "test"], "coco").notes
    assert note.startswith("There is no validation split")
    (note,) = choose_roles([""], "coco").notes
    assert "says nothing about new ones" in note


def test_a_joined_split_is_told():
    roles = choose_roles(["test", "train", "trainval", "val"], "voc")
    assert roles[:3] == ("train", "val", "test")
    assert "--set data.train_split=trainval" in roles.notes[0]


def test_training_on_both_leaves_the_test_images_for_validation():
    splits = ["test", "train", "trainval", "val"]
    roles = choose_roles(splits, "voc", train="trainval")
    assert roles[:3] == ("trainval", "test", "test")
    assert choose_roles(splits, "voc", train="val")[:3] == ("val", "val", "test")


def test_a_builder_s_only_split_is_cut():
    roles = choose_roles(["train"], "tfds")
    assert roles[:3] == ("train[:90%]", "train[90%:]", "train[90%:]")


def test_a_set_without_a_training_split_is_named():
    with pytest.raises(DataError, match="none of the splits a, b is called train"):
        choose_roles(["a", "b"], "voc")
