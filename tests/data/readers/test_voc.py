import os

import numpy as np
import pytest
from PIL import Image

from tf_frcnn.data.checks import images
from tf_frcnn.data.checks.problems import DataError, Policy
from tf_frcnn.data.readers import voc as module
from tf_frcnn.data.readers.voc import read_voc


def test_inclusive_pixels_from_1_become_continuous_corners(voc, xml_of):
    voc.example("a", xml_of("cat", 1, 3, 60, 40))
    voc.split("train", "a")
    record = read_voc(voc.root, "train").records[0]
    np.testing.assert_array_equal(record.boxes, [[2, 0, 40, 60]])
    assert (record.height, record.width, record.image_id) == (40, 60, "a")


def test_continuous_corners_are_taken_as_they_are(voc, xml_of):
    voc.example("a", xml_of("cat", 0, 3.5, 60, 40))
    voc.split("train", "a")
    examples = read_voc(voc.root, "train", one_based=False)
    np.testing.assert_array_equal(examples.records[0].boxes, [[3.5, 0, 40, 60]])
    assert examples.problems.rows == []


def test_the_classes_are_those_of_all_splits_sorted(voc, xml_of):
    voc.example("a", xml_of("dog", 1, 1, 9, 9), xml_of("Cat 2", 1, 1, 9, 9))
    voc.example("b", xml_of("ape", 1, 1, 9, 9))
    voc.split("train", "a")
    examples = read_voc(voc.root, "train")
    assert examples.class_names == ("Cat 2", "ape", "dog")
    np.testing.assert_array_equal(examples.records[0].labels, [2, 0])


def test_labels_follow_the_class_names_given(voc, xml_of):
    voc.example("a", xml_of("dog", 1, 1, 9, 9), xml_of("cat", 1, 1, 9, 9))
    voc.split("train", "a")
    examples = read_voc(voc.root, "train", class_names=["dog", "ape", "cat"])
    np.testing.assert_array_equal(examples.records[0].labels, [0, 2])


def test_difficult_objects_are_marked(voc, xml_of):
    hard = xml_of("cat", 1, 1, 9, 9, extra="<difficult>1</difficult>")
    voc.example("a", hard, xml_of("cat", 2, 2, 8, 8))
    voc.split("train", "a")
    record = read_voc(voc.root, "train").records[0]
    np.testing.assert_array_equal(record.difficult, [True, False])


def test_the_bytes_belong_to_their_records(voc, xml_of):
    for stem in "abc":
        voc.example(stem, xml_of("cat", 1, 1, 9, 9), height=40 + ord(stem) % 7)
    voc.split("train", "c", "a", "b")
    examples = read_voc(voc.root, "train")
    for index, data in examples.stream().as_numpy_iterator():
        source = voc.root / "JPEGImages" / f"{'cab'[index]}.png"
        assert examples.records[index].source == str(source)
        assert data == source.read_bytes()


@pytest.mark.parametrize("drawn_on", ["upright", "stored"])
def test_boxes_follow_a_photograph_that_lies_on_its_side(
    voc, xml_of, image_of, file_of, drawn_on
):
    """Orientation 6: the stored picture's left edge is the upright one's top."""
    exif = Image.Exif()
    exif[0x0112] = 6
    voc.image("a.jpg", file_of(image_of(40, 60), "JPEG", exif=exif))
    if drawn_on == "stored":  # left half, upper three quarters
        voc.annotation("a", xml_of("cat", 1, 1, 30, 30), height=40, width=60)
    else:  # upper half, right three quarters
        voc.annotation("a", xml_of("cat", 11, 1, 40, 30), height=60, width=40)
    voc.split("train", "a")
    examples = read_voc(voc.root, "train")
    record = examples.records[0]
    assert (record.height, record.width, record.orientation) == (60, 40, 6)
    np.testing.assert_array_equal(record.boxes, [[0, 10, 30, 40]])
    assert examples.problems.counts() == (
        {"rotated_image": 1}
        if drawn_on == "upright"
        else {"wrong_size": 1, "rotated_image": 1}
    )


def test_files_whose_names_are_no_text_are_read_and_told(voc, xml_of, capsys):
    """A zip of another country may leave bytes that are not UTF-8."""
    name = os.fsdecode(b"\xc3\xb7\xe8")
    voc.image(f"{name}.png")
    voc.annotation(name, xml_of("cat", 5, 5, 30, 99))
    (voc.root / "ImageSets" / "Main").rmdir()
    (voc.root / "ImageSets").rmdir()
    examples = read_voc(voc.root, "all")
    assert [record.image_id for record in examples.records] == ["\u00f7?"]
    assert len(list(examples.stream())) == 1
    examples.problems.print()
    assert "Annotations/\u00f7?.xml" in capsys.readouterr().out


def test_a_set_without_a_usable_image_is_an_error_with_reasons_and_table(
    voc, xml_of, capsys
):
    voc.annotation("a", xml_of("cat", 5, 5, 30, 30))
    voc.split("train", "a")
    with pytest.raises(DataError) as error:
        read_voc(voc.root, "train")
    assert str(error.value) == (
        f"{voc.root}:train has no image that can be used: missing_image, first "
        "JPEGImages/a: no image has this name."
    )
    assert "missing_image" in capsys.readouterr().out


def test_a_folder_that_names_no_class_asks_for_them(voc):
    voc.example("a")
    voc.split("train", "a")
    with pytest.raises(DataError, match="names no object; give class_names"):
        read_voc(voc.root, "train")
    assert read_voc(voc.root, "train", class_names=["cat"]).max_boxes == 1


def test_without_a_folder_there_is_nothing_to_read():
    with pytest.raises(DataError, match=r"data\.directory is not set; .*JPEGImages"):
        read_voc(None, "train")


@pytest.fixture
def read_files(monkeypatch):
    """The names of the images and annotations that are opened."""
    names = []

    def inspect(data, original=images.inspect_image):
        names.append("image")
        return original(data)

    def annotation(path, original=module.read_annotation):
        names.append(path.name)
        return original(path)

    monkeypatch.setattr(images, "inspect_image", inspect)
    monkeypatch.setattr(module, "read_annotation", annotation)
    return names


@pytest.fixture
def faulty(voc, xml_of, file_of, image_of):
    """A folder of three usable images, one of them turned, and of several faults."""
    voc.example("a", xml_of("cat", 1, 1, 20, 30), xml_of("dog", "nan", 1, 5, 5))
    voc.example("b", xml_of("dog", 5, 5, 70, 30), xml_of("cat", 9, 9, 9, 12))
    exif = Image.Exif()
    exif[274] = 6
    voc.image("c.jpg", file_of(image_of(60, 40), "JPEG", exif=exif))
    voc.annotation("c", xml_of("cat", 2, 2, 20, 30), height=60, width=40)
    voc.image("d.png", b"no image")
    voc.annotation("d", xml_of("cat", 1, 1, 20, 30))
    voc.image("e.png")
    (voc.root / "Annotations" / "e.xml").write_text("<annotation><object>")
    voc.split("train", *"abcdef")
    voc.split("val", *"ab")
    return voc


def test_what_was_read_is_not_opened_again_and_reported_the_same(faulty, read_files):
    first = read_voc(faulty.root, "train")
    assert read_files.count("image") == 4 and "a.xml" in read_files
    read_files.clear()
    again = read_voc(faulty.root, "train")
    # What cannot be read is tried anew: e.xml for its classes, too.
    assert read_files == ["e.xml", "e.xml", "image"]
    assert again.problems.rows == first.problems.rows
    assert len(again.problems.counts()) == 8
    assert again.class_names == first.class_names and len(again.records) == 3
    for record, same in zip(again.records, first.records, strict=True):
        for value, expected in zip(record, same, strict=True):
            np.testing.assert_array_equal(value, expected)
            assert type(value) is type(expected)


def test_other_splits_and_settings_use_what_is_known(faulty, read_files):
    read_voc(faulty.root, "train")
    read_files.clear()
    policy = Policy({"unknown_class": "drop"})
    settings = {"one_based": False, "class_names": ["cat"], "policy": policy}
    examples = read_voc(faulty.root, "val", **settings)
    assert read_files == []
    np.testing.assert_array_equal(examples.records[0].boxes, [[1, 1, 30, 20]])
    assert examples.problems.counts()["unknown_class"] == 2
    with pytest.raises(DataError, match="unknown_class"):
        read_voc(faulty.root, "val", class_names=["cat"])


@pytest.mark.parametrize(
    ("file", "opened"), [("JPEGImages/a.png", "image"), ("Annotations/b.xml", "b.xml")]
)
def test_a_touched_file_is_opened_again(faulty, read_files, file, opened):
    read_voc(faulty.root, "val", class_names=["cat", "dog"])
    read_files.clear()
    os.utime(faulty.root / file, (1, 1))
    read_voc(faulty.root, "val", class_names=["cat", "dog"])
    assert read_files == [opened]


def test_a_damaged_cache_is_ignored(faulty, read_files, tmp_path, monkeypatch):
    monkeypatch.setenv("TF_FRCNN_CACHE", str(tmp_path / "cache"))
    first = read_voc(faulty.root, "val")
    (file,) = (tmp_path / "cache").iterdir()
    file.write_bytes(file.read_bytes()[:-5])
    read_files.clear()
    again = read_voc(faulty.root, "val")
    assert read_files.count("image") == 2
    assert again.problems.rows == first.problems.rows
