from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.assembly import Splits
from tf_frcnn.config import make_config
from tf_frcnn.data import DATASETS, DataError, ExampleSet, Problems, Record
from tf_frcnn.data.checks.problems import MissingSplitError
from tf_frcnn.data.examples import StoredImages
from tf_frcnn.runs.opening import open_splits

NAMES = ("ape", "bee", "cat")


def set_of(split, labels_of_images):
    """Returns an example set; image i of the split has these labels."""
    records = []
    for number, labels in enumerate(labels_of_images):
        boxes = np.tile(np.float32([0, 0, 9, 9]), [len(labels), 1])
        marks = np.zeros([2, len(labels)], bool)
        facts = boxes, np.array(labels, np.int32), *marks
        name = f"{split}{number}"
        records.append(Record(name, f"{name}.png", 20, 20, 1, *facts))
    contents = [record.source.encode() for record in records]
    images = StoredImages(tf.constant(contents), are_paths=False)
    return ExampleSet(split, NAMES, tuple(records), Problems(), images)


@pytest.fixture
def opened(monkeypatch):
    """Opens splits that are given as labels by image; returns the final one."""

    def open_those(sets, proposals=None):
        def read(location, split, *, class_names=(), policy=None):
            if split not in sets:
                raise MissingSplitError(f"{split} does not exist.")
            return sets[split]

        monkeypatch.setitem(DATASETS, "mine", read)
        data = {"reader": "mine", "train_split": "train", "validation_split": "val"}
        settings = {"data": data}
        if proposals:
            settings = {"data": data | {"proposals": proposals}}
            settings["model"] = {"kind": "fast_rcnn"}
        config = make_config(settings, "the test")
        return open_splits(config, Splits(config))

    return open_those


def test_sound_splits_are_opened_without_a_word(opened, capsys):
    sets = {name: set_of(name, [[0, 1], [2]]) for name in ("train", "val", "test")}
    assert opened(sets) == "test"
    assert capsys.readouterr().out == ""


def test_without_a_test_split_the_validation_split_is_evaluated(opened, capsys):
    sets = {name: set_of(name, [[0, 1, 2]]) for name in ("train", "val")}
    assert opened(sets) == "validation"
    assert capsys.readouterr().out == (
        "test does not exist. Without a test split the final evaluation is that of the "
        "validation split.\n"
    )


@pytest.mark.parametrize("missing", ["train", "val"])
def test_without_a_split_of_the_training_there_is_no_run(opened, missing):
    sets = {name: set_of(name, [[0, 1, 2]]) for name in ("train", "val", "test")}
    del sets[missing]
    with pytest.raises(DataError, match=f"{missing} does not exist"):
        opened(sets)


def test_stored_proposals_need_no_test_split(opened, capsys):
    sets = {name: set_of(name, [[0, 1, 2]]) for name in ("train", "val")}
    assert opened(sets, proposals="a folder") == "validation"
    assert capsys.readouterr().out == ""


def test_a_class_that_training_lacks_is_told_with_its_objects(opened, capsys):
    sets = {
        "train": set_of("train", [[0], [0, 1], []]),
        "val": set_of("val", [[1]]),
        "test": set_of("test", [[2, 2], [0]]),
    }
    assert opened(sets) == "test"
    shown = capsys.readouterr().out
    assert (
        "serious: Class 'cat' is not learned; its objects by split: train 0, "
        "validation 0, test 2. (test0.png) Move images with the class" in shown
    )
    assert shown.endswith("`tf-frcnn doctor` examines the data in full.\n")


def test_images_of_the_training_in_another_split_are_told(opened, capsys):
    train = set_of("train", [[0, 1, 2]] * 5)
    sets = {"train": train, "val": set_of("val", [[0]]), "test": train.subset([1, 2])}
    assert opened(sets) == "test"
    assert (
        "2 of the 2 test images are train images, too: its figures say little about "
        "new images. (train1.png, train2.png) " in capsys.readouterr().out
    )


def test_many_findings_stay_on_one_screen(opened, capsys, monkeypatch):
    names = tuple(f"kind {letter}" for letter in "abcdefghijklmnop")
    monkeypatch.setattr(f"{__name__}.NAMES", names)
    sets = {"train": set_of("train", [[0]]), "val": set_of("val", [[*range(16)]])}
    opened(sets)
    shown = capsys.readouterr().out
    assert shown.count("is not learned") == 8
    assert "... and 7 more such findings. `tf-frcnn doctor` examines" in shown


def test_a_split_in_two_roles_is_no_finding(opened, capsys):
    sets = {name: set_of(name, [[0, 1, 2]]) for name in ("train", "val")}
    opened(sets | {"test": sets["val"]})
    assert capsys.readouterr().out == ""


def test_a_class_of_crowds_alone_is_not_learned(opened, capsys):
    train = set_of("train", [[0, 1, 2]])
    (record,) = train.records
    train = replace(train, records=(record._replace(crowd=np.arange(3) == 1),))
    assert opened({"train": train, "val": set_of("val", [[1]])}) == "validation"
    assert "Class 'bee' is not learned" in capsys.readouterr().out
