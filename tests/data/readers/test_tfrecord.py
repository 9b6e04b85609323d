import numpy as np
import pytest
import tensorflow as tf

from tf_frcnn.data.checks.problems import DataError
from tf_frcnn.data.readers.tfrecord import read_tfrecord, tfrecord_splits

BOX = np.array([10, 20, 30, 60]) / [40, 80, 40, 80]
MAP = 'item { id: 1 name: "cat" }\nitem { id: 3 name: "/m/dog" display_name: "dog" }'


@pytest.fixture(scope="module")
def image(image_of, file_of):
    return [file_of(image_of(40, 80, seed), "PNG") for seed in range(4)]


@pytest.fixture
def write(write_records, example_of, image, tmp_path):
    """Writes a record file of one image each with a cat, or of given examples."""

    def write(name="train.record", examples=None, label_map=MAP):
        if examples is None:
            cat = example_of(image[0], [BOX], ["cat"], [1], filename=[b"a.png"])
            examples = [cat]
        write_records(tmp_path / name, examples)
        if label_map:
            (tmp_path / "label_map.pbtxt").write_text(label_map)
        return tmp_path

    return write


def test_records_come_in_order_with_their_bytes(write, example_of, image):
    boxes = [BOX, np.float32([1 / 3, 0, 1, 0.5])]
    root = write(
        examples=[
            example_of(
                image[0], boxes, ["cat", "/m/dog"], [1, 3], filename=[b"x/a.png"]
            ),
            example_of(image[1], source_id=[b"17"]),
            example_of(image[2]),
        ]
    )
    examples = read_tfrecord(root, "train")
    first = examples.records[0]
    np.testing.assert_array_equal(
        first.boxes, np.float32([[10, 20, 30, 60], [13.333, 0, 40, 40]])
    )
    assert first.labels.tolist() == [0, 1] and examples.class_names == ("cat", "dog")
    named = [(r.image_id, r.source, len(r.boxes)) for r in examples.records]
    assert named == [
        ("x/a", "x/a.png", 2),
        ("17", "17.png", 0),
        ("record_000002", "record_000002.png", 0),
    ]
    streamed = dict(examples.stream().as_numpy_iterator())
    assert [streamed[i] for i in range(3)] == image[:3]


def test_marked_objects_are_difficult_or_crowds(write, example_of, image):
    marks = {
        "object__difficult": [1, 0, 0, 0],
        "object__is_crowd": [0, 1, 0, 0],
        "object__group_of": [0, 0, 1, 0],
    }
    example = example_of(image[0], [BOX] * 4, ["cat"] * 4, [1] * 4, **marks)
    (record,) = read_tfrecord(write(examples=[example]), "train").records
    assert record.difficult.tolist() == [True, False, False, False]
    assert record.crowd.tolist() == [False, True, True, False]


@pytest.mark.parametrize(
    ("texts", "labels"), [(["cat"], [1]), (["cat"], []), ([], [1]), (["?"], [1])]
)
def test_text_or_label_tell_the_class(write, example_of, image, texts, labels):
    example = example_of(image[0], [BOX], texts, labels)
    (record,) = read_tfrecord(write(examples=[example]), "train").records
    assert record.labels.tolist() == [0]


def test_a_label_map_of_other_records_is_noticed(write, example_of, image):
    example = example_of(image[0], [BOX], ["cat"], [3], filename=[b"a.png"])
    with pytest.raises(DataError, match=r"is 'cat' and has the label 3.*calls 'dog'"):
        read_tfrecord(write(examples=[example]), "train")


def test_without_a_label_map_the_texts_are_the_classes(write, example_of, image):
    example = example_of(image[0], [BOX] * 2, ["dog", "ape"], [3, 9])
    root = write(examples=[example], label_map=None)
    examples = read_tfrecord(root, "train")
    assert examples.class_names == ("ape", "dog")
    assert examples.records[0].labels.tolist() == [1, 0]
    examples = read_tfrecord(root, "train", class_names=["dog", "ape"])
    assert examples.records[0].labels.tolist() == [0, 1]
    with pytest.raises(DataError, match="'ape' is not one of the classes dog"):
        read_tfrecord(root, "train", class_names=["dog"])


def test_without_names_anywhere_a_label_map_is_needed(
    write, example_of, image, tmp_path
):
    example = example_of(image[0], [BOX], [], [3])
    root = write(examples=[example], label_map=None)
    with pytest.raises(
        DataError, match=r"name no classes .*set class_file to the label"
    ):
        read_tfrecord(root, "train")
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "own.pbtxt").write_text(MAP)
    own = str(tmp_path / "maps" / "own.pbtxt")
    examples = read_tfrecord(root, "train", class_file=own)
    assert examples.class_names == ("cat", "dog")
    assert examples.records[0].labels.tolist() == [1]


def test_two_label_maps_are_one_too_many(write):
    root = write()
    (root / "other.pbtxt").write_text(MAP)
    with pytest.raises(
        DataError, match=r"has label_map\.pbtxt, other\.pbtxt; set class_"
    ):
        read_tfrecord(root, "train")


@pytest.mark.parametrize(
    "name",
    [
        *("train.record", "train.tfrecord", "train.tfrecords", "train.record.gz"),
        *(
            "coco_train.record-00000-of-00001",
            "cells-train.tfrecord",
            "train/x.tfrecord",
        ),
    ],
)
def test_files_are_found_by_the_name_of_their_split(write, name):
    root = write(name)
    assert tfrecord_splits(root) == ["train"]
    assert len(read_tfrecord(root, "train").records) == 1
    assert len(read_tfrecord(root / name, "any").records) == 1
    with pytest.raises(DataError, match="no split 'test'; the splits there are train"):
        read_tfrecord(root, "test")


def test_shards_and_splits_are_read_in_order(write, example_of, image):
    def example(number):
        name = f"{number}.png".encode()
        return example_of(image[number], [BOX], ["cat"], [1], filename=[name])

    write("x_val.record", [example(3)])
    for shard in (1, 0, 2):
        root = write(f"x_train.record-{shard:05d}-of-00003", [example(shard)])
    assert tfrecord_splits(root) == ["train", "val"]
    ids = [r.image_id for r in read_tfrecord(root, "train+val").records]
    assert ids == ["0", "1", "2", "3"]
    pattern = str(root / "x_train.record-?????-of-00003")
    assert [r.image_id for r in read_tfrecord(pattern, "").records] == ids[:3]
    (root / "x_train.record-00001-of-00003").unlink()
    with pytest.raises(DataError, match="2 of 3 files of its kind are there"):
        read_tfrecord(root, "train")
    with pytest.raises(DataError, match="no file has such a name"):
        read_tfrecord(str(root / "y-?????-of-00003"), "train")


def test_one_file_that_names_no_split_is_read_under_any_name(write):
    root = write("cells.tfrecord")
    assert tfrecord_splits(root) == [""]
    assert len(read_tfrecord(root, "anything").records) == 1


def test_images_of_one_name_get_ids_of_their_own(write, example_of, image):
    examples = [example_of(own, filename=[b"a.png"]) for own in image[:3]]
    found = read_tfrecord(write(examples=examples), "train")
    assert [r.image_id for r in found.records] == ["a", "a_1", "a_2"]


def test_boxes_of_an_image_that_is_stored_turned(
    write, example_of, image_of, file_of, turned_exif
):
    """Stored with 80 x 40 pixels, shown with 40 x 80; the size tells what was used."""
    encoded = file_of(image_of(80, 40), "JPEG", exif=turned_exif)
    stored = np.array([20, 10, 60, 30]) / [80, 40, 80, 40]
    examples = [
        example_of(encoded, [BOX], ["cat"], [1]),
        example_of(encoded, [BOX], ["cat"], [1], height=[40], width=[80]),
        example_of(encoded, [stored], ["cat"], [1], height=[80], width=[40]),
    ]
    records = read_tfrecord(write(examples=examples), "train").records
    for record in records:
        np.testing.assert_array_equal(record.boxes, [[10, 20, 30, 60]])


def test_faults_are_counted(write, example_of, image):
    turned = BOX[[2, 1, 0, 3]]
    examples = [
        example_of(b"no image", [BOX], ["cat"], [1], filename=[b"a"]),
        example_of(image[0], [BOX, BOX], ["cat"], [1], filename=[b"b"]),
        example_of(image[0], [BOX], [], [], filename=[b"c"]),
        example_of(
            image[0], [turned, BOX + 0.5], ["cat"] * 2, [1] * 2, filename=[b"d"]
        ),
    ]
    found = read_tfrecord(write(examples=examples), "train")
    assert [record.image_id for record in found.records] == ["d"]
    assert found.problems.counts() == {
        "unreadable_image": 1,
        "unreadable_annotation": 2,
        "swapped_corners": 1,
        "box_outside": 1,
    }
    assert found.problems.files("unreadable_annotation") == ["b", "c"]
    # The images that are left keep their own bytes.
    assert [*found.stream().as_numpy_iterator()] == [(0, image[0])]


def test_records_of_another_form_are_refused(write, write_records, tmp_path):
    root = write(examples=[b""])
    with pytest.raises(
        DataError, match="is damaged, or not of the TensorFlow Object D"
    ):
        read_tfrecord(root, "train")
    (root / "train.record").write_bytes(b"no records, just some text in a file")
    with pytest.raises(DataError, match="is damaged"):
        read_tfrecord(root, "train")


def test_a_folder_of_another_form_is_named(in_every_form, tmp_path):
    root = in_every_form("coco", tmp_path / "data")
    with pytest.raises(DataError, match=r"holds no records.*reader 'coco'"):
        read_tfrecord(root, "train")
    with pytest.raises(DataError, match="does not exist"):
        read_tfrecord(tmp_path / "nowhere", "train")


def test_bytes_that_are_no_example_are_one_line(write, tmp_path):
    write()
    with tf.io.TFRecordWriter(str(tmp_path / "train.record")) as writer:
        writer.write(b"\xcc\xff no example")
    with pytest.raises(DataError, match=r"a record is damaged, or not of") as error:
        read_tfrecord(tmp_path, "train")
    assert len(str(error.value).splitlines()) == 1
