from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.data import DATASETS
from tf_frcnn.data.checks.problems import DataError
from tf_frcnn.data.conversion import WRITERS, write_splits
from tf_frcnn.data.examples import StoredImages


def by_name(examples):
    """Returns image id -> (bytes, boxes with the names of their classes, difficult)."""
    streamed = dict(examples.stream().as_numpy_iterator())
    return {
        record.image_id: (
            streamed[row],
            record[2:5],
            [examples.class_names[label] for label in record.labels],
            record.boxes,
            record.difficult.tolist(),
        )
        for row, record in enumerate(examples.records)
    }


def check_same(found, expected):
    found, expected = by_name(found), by_name(expected)
    assert found.keys() == expected.keys()
    for key, (data, facts, names, boxes, difficult) in found.items():
        same = expected[key]
        assert (data, facts, names, difficult) == (*same[:3], same[4])
        np.testing.assert_allclose(boxes, same[3], atol=1e-3)


def uneven(painted_set):
    """Returns images whose boxes have no round corners."""
    examples = painted_set()
    records = tuple(
        r._replace(boxes=(r.boxes / np.float32(3) + np.float32(0.1)))
        for r in examples.records
    )
    return replace(examples, records=records)


@pytest.mark.parametrize("forms", [("voc", "coco", "voc"), ("coco", "voc", "coco")])
def test_round_trips_leave_boxes_names_and_bytes_as_they_are(
    painted_set, tmp_path, forms
):
    original = uneven(painted_set)
    examples = original
    for number, form in enumerate(forms):
        write_splits({"train": examples}, tmp_path / str(number), form)
        examples = DATASETS[form](tmp_path / str(number), "train")
        check_same(examples, original)
        assert {row.kind for row in examples.problems.rows} <= {"empty_annotation"}


@pytest.mark.parametrize("form", WRITERS)
def test_splits_share_the_classes_of_all(painted_set, tmp_path, form):
    train = replace(painted_set(), class_names=tuple("abcdefg"))
    test = replace(train.subset([1, 4]), class_names=tuple("zyxwbaz"[:6] + "c"))
    train = train.subset([2, 5])
    write_splits({"train": train, "test": test}, tmp_path / "out", form)
    names = ("a", "b", "c", "d", "e", "f", "g", "z", "y", "x", "w")
    for split, examples in (("train", train), ("test", test)):
        found = DATASETS[form](tmp_path / "out", split, class_names=names)
        check_same(found, examples)


@pytest.mark.parametrize("form", WRITERS)
def test_images_of_one_name_in_two_splits_stay_apart(painted_set, tmp_path, form):
    train = painted_set([(32, 50), (32, 64), (60, 32)])
    test = painted_set([(32, 40), (48, 32), (32, 40)])
    third = painted_set([(40, 40)])
    splits = {"train": train, "test": test, "train[:1]": third}
    write_splits(splits, tmp_path / "out", form)
    names = tuple("abcdefg")
    read = {
        split: DATASETS[form](tmp_path / "out", split, class_names=names)
        for split in ("train", "test", "train_1")
    }
    ids = [[r.image_id for r in examples.records] for examples in read.values()]
    assert ids == [
        ["image0", "image1", "image2"],
        ["test_image0", "test_image1", "test_image2"],
        ["train_1_image0"],
    ]
    for found, expected in zip(read.values(), (train, test, third), strict=True):
        sizes = [record[2:4] for record in found.records]
        assert sizes == [record[2:4] for record in expected.records]


def files_of(painted_set, folder):
    """Returns the painted images as files."""
    examples = painted_set()
    folder.mkdir()
    paths = []
    for row, data in examples.stream().as_numpy_iterator():
        paths.append(folder / f"{row}.png")
        paths[-1].write_bytes(data)
    records = tuple(
        record._replace(image_id=f"sub/{row}", source=str(path))
        for row, (record, path) in enumerate(zip(examples.records, paths, strict=True))
    )
    images = StoredImages(tf.constant([str(path) for path in paths]), are_paths=True)
    return replace(examples, records=records, images=images)


def test_a_file_in_two_splits_is_written_once(painted_set, tmp_path):
    examples = files_of(painted_set, tmp_path / "in")
    splits = {"train": examples.subset([0, 1]), "trainval": examples.subset([1, 2])}
    write_splits(splits, tmp_path / "out", "voc")
    names = sorted(path.name for path in (tmp_path / "out" / "JPEGImages").iterdir())
    assert names == ["sub_0.png", "sub_1.png", "sub_2.png"]
    both = DATASETS["voc"](tmp_path / "out", "train+trainval")
    assert len(both.records) == 3


def test_a_file_with_other_objects_in_another_split_is_written_twice(
    painted_set, tmp_path
):
    examples = files_of(painted_set, tmp_path / "in")
    record = examples.records[1]
    moved = record._replace(boxes=record.boxes + 1)
    records = (examples.records[0], moved, *examples.records[2:])
    other = replace(examples, records=records).subset([1])
    write_splits({"a": examples.subset([1]), "b": other}, tmp_path / "out", "voc")
    for split, own in (("a", record), ("b", moved)):
        (found,) = DATASETS["voc"](tmp_path / "out", split).records
        np.testing.assert_array_equal(found.boxes, own.boxes)


def test_nothing_is_written_over(painted_set, tmp_path):
    examples = painted_set()
    (tmp_path / "out").mkdir()
    write_splits({"train": examples}, tmp_path / "out", "voc")
    with pytest.raises(DataError, match="out exists and is not an empty folder"):
        write_splits({"train": examples}, tmp_path / "out", "coco")
    with pytest.raises(DataError, match="format 'yolo' must be one of voc, coco"):
        write_splits({"train": examples}, tmp_path / "other", "yolo")
