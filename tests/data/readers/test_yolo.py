import numpy as np
import pytest

from tf_frcnn.data.checks.problems import DataError
from tf_frcnn.data.readers.yolo import read_yolo, yolo_splits


@pytest.fixture
def write(write_image, tmp_path):
    """Writes data.yaml, images/train/a.png and, with lines, its label file."""

    def write(*lines, more="", image="images/train/a.png", labels="labels/train/a.txt"):
        (tmp_path / "data.yaml").write_text(f"names: [cat, dog]\n{more}")
        write_image(tmp_path / image)
        (tmp_path / labels).parent.mkdir(parents=True, exist_ok=True)
        if lines:
            (tmp_path / labels).write_text("\n".join(lines))
        return tmp_path

    return write


BOX = "0 0.5 0.5 0.5 0.5"
CAT = [10, 20, 30, 60]


def test_a_box_is_its_centre_and_its_sides_as_shares(write):
    root = write("1 0.25 0.5 0.4 0.9", "", "0.0 0.9 0.2 0.2 0.1")
    examples = read_yolo(root, "train")
    (record,) = examples.records
    expected = [[2, 4, 38, 36], [6, 64, 10, 80]]
    np.testing.assert_allclose(record.boxes, expected, rtol=1e-6)
    assert record.labels.tolist() == [1, 0] and not record.difficult.any()
    assert record.image_id == "a" and examples.class_names == ("cat", "dog")
    assert examples.problems.rows == []


def test_a_polygon_gives_the_box_around_it(write):
    root = write("0 0.25 0.5 0.5 0.25 0.75 0.5 0.5 0.75")
    np.testing.assert_array_equal(read_yolo(root, "train").records[0].boxes, [CAT])


def test_keypoints_are_passed_over_where_the_description_has_them(write):
    line = f"{BOX} 0.1 0.1 2 0.9 0.9 2"
    root = write(line, more="kpt_shape: [2, 3]")
    np.testing.assert_array_equal(read_yolo(root, "train").records[0].boxes, [CAT])
    root = write(line)  # now it reads like a polygon with a point too far out
    assert read_yolo(root, "train").problems.counts() == {"box_outside": 1}


@pytest.mark.parametrize(
    ("image", "labels"),
    [
        ("images/train/a.png", "labels/train/a.txt"),
        ("train/images/a.png", "train/labels/a.txt"),
        ("images/train/images/a.png", "images/train/labels/a.txt"),
        ("train/a.png", "train/a.txt"),
        ("images/train/a.png", "images/train/a.txt"),
    ],
)
def test_labels_lie_in_a_parallel_folder_or_beside_the_image(write, image, labels):
    folder = image.removesuffix("/a.png")
    root = write(BOX, image=image, labels=labels, more=f"train: {folder}")
    np.testing.assert_array_equal(read_yolo(root, "train").records[0].boxes, [CAT])


def test_images_without_labels_are_examples_without_objects(write, write_image):
    root = write(BOX)
    write_image(root / "images" / "train" / "b.png", seed=1)
    write_image(root / "images" / "train" / "sub" / "c.png", seed=2)
    (root / "labels" / "train" / "sub").mkdir()
    (root / "labels" / "train" / "sub" / "c.txt").touch()
    examples = read_yolo(root, "train")
    assert [(r.image_id, len(r.boxes)) for r in examples.records] == [
        *(("a", 1), ("b", 0), ("sub/c", 0))
    ]
    assert examples.problems.files("empty_annotation") == [
        *("labels/train/b.txt", "labels/train/sub/c.txt")
    ]


def test_a_split_without_any_label_file_is_an_error(write):
    root = write()
    with pytest.raises(
        DataError, match=r"none of the 1 images has a label.*train/a.txt"
    ):
        read_yolo(root, "train")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("0 0.5 0.5 0.5", "line 2 has 4 numbers; a box has 5"),
        ("0 0.5 0.5 0.5 0.5 0.9", "line 2 has 6 numbers"),
        ("cat 0.5 0.5 0.5 0.5", "line 2: 'cat 0.5 0.5 0.5 0.5' is not numbers"),
        ("0.5 0.5 0.5 0.5 0.5", "line 2: 0.5 is no number of a class"),
        ("inf 0.5 0.5 0.5 0.5", "line 2: inf is no number of a class"),
        ("0 40 20 40 20", "line 2: 40 is no share of the image's side"),
    ],
)
def test_an_image_whose_labels_are_not_understood_is_dropped(
    write, write_image, line, reason
):
    root = write(BOX, line)
    write_image(root / "images" / "train" / "b.png", seed=1)
    examples = read_yolo(root, "train")
    assert [record.image_id for record in examples.records] == ["b"]
    row = examples.problems.rows[0]
    assert (row.kind, row.file) == ("unreadable_annotation", "labels/train/a.txt")
    assert reason in row.detail


def test_faults_of_boxes_are_counted(write):
    lines = ["5 0.5 0.5 0.5 0.5", "0 nan 0.5 0.5 0.5", "0 0.5 0.5 0 0.5"]
    lines += ["0 0.5 0.5 -0.5 0.5", "0 0.9 0.5 0.5 0.5", BOX]
    root = write(*lines)
    with pytest.raises(
        DataError, match=r"'class 5' is not one of the classes cat, dog"
    ):
        read_yolo(root, "train")
    examples = read_yolo(root, "train", class_names=["cat", "class 5"])
    assert examples.problems.counts() == {
        **dict.fromkeys(("non_finite_box", "swapped_corners", "zero_area_box"), 1),
        "box_outside": 1,
    }
    np.testing.assert_array_equal(
        examples.records[0].boxes, [CAT, CAT, [10, 52, 30, 80], CAT]
    )


def test_shares_are_of_the_image_as_it_is_shown(write, write_image, turned_exif):
    root = write(BOX)
    (root / "images" / "train" / "a.png").unlink()
    write_image(root / "images/train/a.jpg", 80, 40, "JPEG", exif=turned_exif)
    (record,) = read_yolo(root, "train").records
    np.testing.assert_array_equal(record.boxes, [CAT])
    assert (record.height, record.width, record.orientation) == (40, 80, 6)


def test_a_sum_of_splits_and_a_list_that_repeats_images(write, write_image):
    more = "train: [images/train, all.txt]\nval: images/val"
    root = write(BOX, more=more)
    write_image(root / "images" / "val" / "a.png", 50, 60)
    (root / "all.txt").write_text("images/train/a.png\n")
    (root / "images" / "val").mkdir(exist_ok=True)
    examples = read_yolo(root, "train+valid")
    assert [r.image_id for r in examples.records] == ["train/a", "val/a"]
    assert [len(r.boxes) for r in examples.records] == [1, 0]
    assert examples.problems.counts() == {"repeated_image": 1, "empty_annotation": 1}
    assert yolo_splits(root) == ["train", "val"]


def test_two_numbers_of_one_name_are_one_class(write):
    root = write("0 0.5 0.5 0.5 0.5", "2 0.5 0.5 0.5 0.5")
    (root / "data.yaml").write_text("names: [cat, dog, cat]")
    examples = read_yolo(root, "train")
    assert examples.class_names == ("cat", "dog")
    assert examples.records[0].labels.tolist() == [0, 0]


def test_a_darknet_export_is_read(write_image, tmp_path):
    """As CVAT writes it: lists, names, and labels beside the images."""
    write_image(tmp_path / "obj_train_data" / "a.png")
    (tmp_path / "obj_train_data" / "a.txt").write_text(BOX)
    (tmp_path / "obj.names").write_text("cat\n")
    (tmp_path / "train.txt").write_text("data/obj_train_data/a.png\n")
    (record,) = read_yolo(tmp_path, "train").records
    np.testing.assert_array_equal(record.boxes, [CAT])


def test_a_folder_of_another_form_is_named(in_every_form, tmp_path):
    root = in_every_form("coco", tmp_path / "data")
    with pytest.raises(DataError, match=r"does not name the classes.*reader 'coco'"):
        read_yolo(root, "train")
