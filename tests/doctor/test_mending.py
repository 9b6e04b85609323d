import numpy as np
import pytest

from tf_frcnn.config import make_config
from tf_frcnn.data import DataError, read_voc, write_splits
from tf_frcnn.doctor.examination import examine
from tf_frcnn.doctor.mending import mend

BOX, OTHER = (10, 10, 200, 200), (20, 20, 250, 120)


@pytest.fixture
def mended(make_set):
    """Mends sets: `mended(names, train=(objects, contents), ...)`."""

    def run(names, **splits):
        sets = {
            split: make_set(split, names, objects, contents)
            for split, (objects, contents) in splits.items()
        }
        return mend(sets, examine("data", sets, make_config({}, "the test"), {}))

    return run


def ids(mended):
    return {s: [r.image_id for r in own.records] for s, own in mended.splits.items()}


def test_an_image_in_two_splits_stays_where_it_is_measured_on(mended):
    one = [[(0, BOX)]] * 2
    contents = {"test": [b"a", b"x"], "train": [b"a", b"b"], "val": [b"y", b"x"]}
    found = mended(["ape"], **{split: (one, own) for split, own in contents.items()})
    assert ids(found) == {
        "test": ["test_0"],
        "train": ["train_1"],
        "val": ["val_0", "val_1"],
    }
    assert found.done == (
        "train_0.png is left out of train: it is in test.",
        "test_1.png is left out of test: it is in val.",
    )


def test_a_copy_with_other_objects_is_for_a_person_to_decide(mended):
    objects = [[(0, BOX)], [(0, BOX)], [(0, OTHER)]]
    found = mended(["ape"], train=(objects, [b"a"] * 3), val=([[(0, BOX)]], [b"b"]))
    assert ids(found)["train"] == ["train_0", "train_2"]
    assert found.done == ("train_1.png is left out of train: it is a copy.",)


def test_names_are_joined_and_the_background_leaves(mended):
    names = ["ape", "background", "Stop Sign", "stop_sign", "apes"]
    objects = [[(n, BOX), (1, OTHER)] for n in range(5)] + [[(3, BOX)]]
    found = mended(names, train=(objects, None))
    train = found.splits["train"]
    assert train.class_names == ("ape", "stop_sign", "apes")
    labels = [record.labels.tolist() for record in train.records]
    assert labels == [[0], [], [1], [1], [2], [1]]
    np.testing.assert_array_equal(train.records[0].boxes, [BOX])
    assert found.done == (
        "Class 'background' is left out: it is the background.",
        "Class 'Stop Sign' became 'stop_sign'.",
    )


def test_an_object_counts_once(mended):
    objects = [[(0, OTHER), (0, BOX), (1, BOX), (0, OTHER)]]
    found = mended(["ape", "bee"], train=(objects, None))
    (record,) = found.splits["train"].records
    np.testing.assert_array_equal(record.boxes, [OTHER, BOX, BOX])
    assert record.labels.tolist() == [0, 0, 1]
    assert found.done == ("1 repeated objects of train are left out.",)


def test_a_split_never_becomes_empty(mended):
    one = ([[(0, BOX)]], [b"a"])
    with pytest.raises(DataError, match="All images of train are in other splits"):
        mended(["ape"], train=one, val=one)


def test_a_sound_set_stays_as_it_is(mended):
    found = mended(["ape"], train=([[(0, BOX)], []], None), val=([[(0, BOX)]], None))
    assert found.done == () and len(found.splits["train"].records) == 2


@pytest.mark.slow
def test_the_mended_planted_set_has_fewer_faults(planted_sets, examined, tmp_path):
    write_splits(mend(planted_sets, examined).splits, tmp_path / "out", "voc")
    sets = {
        split: read_voc(tmp_path / "out", split) for split in ("train", "val", "test")
    }
    again = examine("out", sets, make_config({}, "the test"), {})
    gone = {f.kind for f in examined.findings} - {f.kind for f in again.findings}
    assert gone == {
        "background_class",
        "counted_from_0",
        "files_dropped",
        "files_repaired",
        "images_lost",
        "repeated_boxes",
        "shared_images",
    }
    assert {row.name for row in again.classes} >= {"Cat", "dog", "tree", "trees"}
    assert not {"cat", "background"} & {row.name for row in again.classes}
