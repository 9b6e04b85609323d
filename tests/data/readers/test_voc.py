import os

import numpy as np
import pytest
from PIL import Image

from tf_frcnn.data.checks import images
from tf_frcnn.data.checks.problems import ALLOWED_ACTIONS, DataError, Policy
from tf_frcnn.data.decoding.resizing import Resizing
from tf_frcnn.data.pipeline.batching import evaluation_batches, training_batches
from tf_frcnn.data.readers import voc as module
from tf_frcnn.data.readers.voc import read_voc

RESIZING = Resizing((64,), 96, ((96, 96),))
# Faults that VOC folders cannot have.
OF_OTHERS = {"repeated_object"}


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


def write_every_fault(voc, xml_of, image_of, file_of):
    """Writes one image per kind of fault; returns kind -> files reported."""
    box = xml_of("cat", 5, 5, 30, 30)
    png = file_of(image_of(40, 60), "PNG")
    exif = Image.Exif()
    exif[0x0112] = 8
    voc.example("good", box)
    voc.annotation("lost", box)
    voc.example("cut", box)
    voc.image("cut.png", png[: len(png) // 2])
    voc.example("foreign", box)
    voc.image("foreign.png", file_of(image_of(40, 60), "TIFF"))
    voc.image("bare.png")
    voc.example("garbled", box)
    (voc.root / "Annotations" / "garbled.xml").write_text("<annotation>")
    voc.example("twins", box)
    voc.image("twins.jpg", file_of(image_of(40, 60), "JPEG"))
    voc.image("sized.png")
    voc.annotation("sized", box, height=99)
    voc.example("nan", xml_of("cat", "nan", 5, 30, 30), box)
    voc.example("swapped", xml_of("cat", 30, 5, 5, 30))
    voc.example("click", xml_of("cat", 5, 5, 5, 5), box)
    voc.example("outside", xml_of("cat", 5, 5, 99, 30), xml_of("cat", 70, 5, 80, 30))
    voc.example("stranger", xml_of("cta", 5, 5, 30, 30), box)
    voc.example("empty")
    voc.image("turned.jpg", file_of(image_of(40, 60), "JPEG", exif=exif))
    voc.annotation("turned", xml_of("cat", 5, 5, 30, 30), height=60, width=40)
    faulty = "lost cut foreign bare garbled twins sized nan swapped click outside"
    voc.split("train", "good", *faulty.split(), "stranger", "empty", "turned", "good")
    return {
        "missing_image": ["JPEGImages/lost"],
        "unreadable_image": ["JPEGImages/cut.png", "JPEGImages/foreign.png"],
        "missing_annotation": ["Annotations/bare.xml"],
        "unreadable_annotation": ["Annotations/garbled.xml"],
        "repeated_image": ["train.txt"],
        "ambiguous_image": ["JPEGImages/twins.jpg"],
        "wrong_size": ["Annotations/sized.xml"],
        "non_finite_box": ["Annotations/nan.xml"],
        "swapped_corners": ["Annotations/swapped.xml"],
        "zero_area_box": ["Annotations/click.xml"],
        "box_outside": ["Annotations/outside.xml"],
        "unknown_class": ["Annotations/stranger.xml"],
        "empty_annotation": ["Annotations/empty.xml"],
        "rotated_image": ["JPEGImages/turned.jpg"],
    }


def test_every_kind_of_fault_is_found_named_and_survived(
    voc, xml_of, image_of, file_of
):
    expected = write_every_fault(voc, xml_of, image_of, file_of)
    assert expected.keys() == ALLOWED_ACTIONS.keys() - OF_OTHERS
    examples = read_voc(
        voc.root, "train", class_names=["cat"], policy=Policy({"unknown_class": "drop"})
    )
    problems = examples.problems
    assert {kind: problems.files(kind) for kind in problems.counts()} == expected
    assert problems.counts() == {
        **dict.fromkeys(expected, 1),
        "unreadable_image": 2,
        "box_outside": 2,
    }
    assert [(r.image_id, len(r.boxes)) for r in examples.records] == [
        ("good", 1),
        ("twins", 1),
        ("sized", 1),
        ("nan", 1),
        ("swapped", 1),
        ("click", 1),
        ("outside", 1),
        ("stranger", 1),
        ("empty", 0),
        ("turned", 1),
    ]


def test_batches_of_a_faulty_data_set_are_sound(voc, xml_of, image_of, file_of):
    write_every_fault(voc, xml_of, image_of, file_of)
    policy = Policy({"unknown_class": "drop"})
    examples = read_voc(voc.root, "train", class_names=["cat"], policy=policy)
    settings = {"batch_size": 3, "flip": True, "drop_difficult": True, "seed": 0}
    batches = training_batches(examples, RESIZING, **settings)
    for batch in [
        *batches.take(4),
        *evaluation_batches(examples, RESIZING, batch_size=3),
    ]:
        boxes, used = batch["boxes"].numpy(), batch["labels"].numpy() >= 0
        limits = np.tile(batch["image_sizes"], 2)[:, np.newaxis]
        assert np.isfinite(batch["images"]).all() and np.isfinite(boxes).all()
        assert ((boxes >= 0) & (boxes <= limits + 1e-4)).all()
        assert (boxes[used][:, 2:] > boxes[used][:, :2]).all()


@pytest.mark.parametrize(
    "kind",
    [k for k, a in ALLOWED_ACTIONS.items() if a != ("keep",) and k not in OF_OTHERS],
)
def test_every_kind_of_fault_can_stop_the_reading(voc, xml_of, image_of, file_of, kind):
    expected = write_every_fault(voc, xml_of, image_of, file_of)
    policy = Policy({"unknown_class": "drop", kind: "raise"})
    with pytest.raises(DataError, match=f"^{expected[kind][0]}: {kind}: "):
        read_voc(voc.root, "train", class_names=["cat"], policy=policy)


@pytest.mark.parametrize("kind", ["wrong_size", "ambiguous_image"])
def test_images_that_could_be_mended_can_be_dropped(
    voc, xml_of, image_of, file_of, kind
):
    write_every_fault(voc, xml_of, image_of, file_of)
    policy = Policy({"unknown_class": "drop", kind: "drop"})
    ids = {r.image_id for r in read_voc(voc.root, "train", policy=policy).records}
    assert ids & {"sized", "twins"} == {
        "twins" if kind == "wrong_size" else "sized",
    }


def test_a_set_without_a_usable_image_is_an_error_that_counts(voc, xml_of):
    voc.annotation("a", xml_of("cat", 5, 5, 30, 30))
    voc.split("train", "a")
    with pytest.raises(DataError, match=r"no image that can be used: .*missing_image"):
        read_voc(voc.root, "train")


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
