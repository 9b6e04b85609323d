"""Small data sets in the form in which tools and people write them."""

import numpy as np
import pytest

from tests.helpers.paths import SHARED
from tf_frcnn.data.checks.problems import DataError
from tf_frcnn.data.readers.voc import read_voc

CASES = SHARED / "cases" / "data"
BOX = [10, 10, 30, 40]

pytestmark = pytest.mark.skipif(
    not CASES.is_dir(),
    reason=f"the cases are not in {CASES}; set TF_FRCNN_SHARED to their folder",
)


def boxes_of(examples):
    return {
        record.image_id: record.boxes.astype(float).round(3).tolist()
        for record in examples.records
    }


def test_make_senses_unspecified_flags_count_as_0():
    examples = read_voc(CASES / "makesense", "train")
    assert boxes_of(examples) == {stem: [BOX] for stem in ("o0", "o1", "o2")}
    assert examples.class_names == ("onion",)
    assert not any(record.difficult.any() for record in examples.records)
    assert examples.problems.counts() == {"unknown_flag": 3}


@pytest.mark.parametrize("one_based", [True, False])
def test_cvats_subfolders_keep_their_corners(one_based):
    examples = read_voc(CASES / "cvat_sub", "default", one_based=one_based)
    low = np.subtract([11.14, 10.364], one_based)
    box = np.float32([*low, 30.43, 40.27])
    assert [record.image_id for record in examples.records] == [
        "batch1/f0",
        "batch1/f1",
    ]
    for record in examples.records:
        np.testing.assert_array_equal(record.boxes, [box])
    assert examples.class_names == ("bird",) and examples.problems.rows == []


@pytest.mark.parametrize("split", ["cat_train", "train"])
def test_votts_lists_name_both_images(split):
    examples = read_voc(CASES / "vott", split)
    assert [record.image_id for record in examples.records] == ["cat 1", "b"]
    assert examples.problems.rows == []


def test_roboflows_folders_are_three_splits():
    for split in ("train", "valid", "test", "val"):
        examples = read_voc(CASES / "roboflow", split)
        folder = "valid" if split == "val" else split
        ids = [f"{folder}/i{number}_jpg.rf.abc" for number in range(2)]
        assert boxes_of(examples) == {image_id: [BOX] for image_id in ids}
        assert examples.problems.rows == []
    assert len(read_voc(CASES / "roboflow", "train+valid+test").records) == 6


def test_boxes_drawn_on_another_size_are_scaled():
    examples = read_voc(CASES / "size_scaled", "train")
    assert boxes_of(examples) == {"a": [BOX], "b": [BOX]}
    assert [(row.kind, row.action) for row in examples.problems.rows] == [
        ("wrong_size", "repair")
    ] * 2


def test_declared_encodings_give_the_right_names():
    examples = read_voc(CASES / "encodings", "train")
    names = {r.image_id: examples.class_names[r.labels[0]] for r in examples.records}
    # The bytes of this one are UTF-8 as well, for another name.
    assert names.pop("gbknodecl") == "è"
    assert names == {
        **dict.fromkeys(("bom", "u16", "u16nodecl", "gbk"), "猫"),
        "gb2312": "cat",
        "l1": "Käfer",
        "cp1252": "Käfer",
    }
    assert examples.problems.rows == []


def test_odd_files_are_read_or_dropped_with_a_reason_and_never_background():
    examples = read_voc(CASES / "odd_xml", "train")
    found = boxes_of(examples)
    assert found.pop("two") == [BOX, [0, 0, 3, 4]]
    assert found.pop("poly") == [BOX, [0, 0, 9, 9]]
    assert found.pop("rob") == [BOX, [15.134, 13.485, 23.866, 25.515]]
    read = "part partfirst order polybox nosize emptysize sizeonlyw zerosize ns objects"
    assert found == {stem: [BOX] for stem in [*read.split(), "selfname"]}
    assert examples.class_names == ("person",)
    reasons = {row.file[12:-4]: row.detail for row in examples.problems.rows}
    assert reasons.keys() == {"two", "poly", "rob", "dash", "comma", "noname", "empty"}
    assert examples.problems.counts() == {
        "unreadable_annotation": 4,
        "several_boxes": 1,
        "outline_only": 2,
    }
    assert reasons["comma"] == "bndbox/ymin = '11,5' is not a number"
    assert reasons["noname"] == "an object has no name"


def test_a_line_break_in_a_name_is_a_blank():
    examples = read_voc(CASES / "nl", "all")
    assert examples.class_names == ("traffic light",)
    assert boxes_of(examples) == {"a": [[0, 0, 60, 50]]}


def test_a_gif_whose_first_frame_is_a_part_is_dropped_and_counted(capsys):
    with pytest.raises(DataError, match="its first frame has 60 x 40 pixels, but its"):
        read_voc(CASES / "gifsub", "all")
    assert "unreadable_image" in capsys.readouterr().out
