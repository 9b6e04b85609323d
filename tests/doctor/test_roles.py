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
        (["trainval", "test"], ("trainval[:90%]", "trainval[90%:]", "test")),
        (["train", "test"], ("train[:90%]", "train[90%:]", "test")),
        (["all"], ("all[:90%]", "all[90%:]", "all[90%:]")),
        ([""], ("train[:90%]", "train[90%:]", "train[90%:]")),
    ],
)
def test_splits_are_chosen_by_their_names(splits, roles):
    assert choose_roles(splits)[:3] == roles


def test_notes_say_what_is_missing():
    assert choose_roles(["train", "val", "test"]).notes == ()
    (note,) = choose_roles(["train", "val"]).notes
    assert note.startswith("There is no test split")
    for splits in (["train", "test"], ["train"]):
        (note,) = choose_roles(splits).notes
        assert note.startswith("There is no validation split; a tenth of train")
    (note,) = choose_roles(["train", "test"], train="train").notes
    assert "are then a little too good" in note
    (note,) = choose_roles(["train"], train="train").notes
    assert "says nothing about new ones" in note
    assert '"data.train_split=train[:90%]"' in note


def test_a_joined_split_is_told():
    roles = choose_roles(["test", "train", "trainval", "val"])
    assert roles[:3] == ("train", "val", "test")
    assert "--set data.train_split=trainval" in roles.notes[0]


def test_training_on_both_leaves_the_test_images_for_validation():
    splits = ["test", "train", "trainval", "val"]
    roles = choose_roles(splits, train="trainval")
    assert roles[:3] == ("trainval", "test", "test")
    assert choose_roles(splits, train="val")[:3] == ("val", "val", "test")


def test_a_set_without_a_training_split_is_named():
    with pytest.raises(DataError, match="none of the splits a, b is called train"):
        choose_roles(["a", "b"])
