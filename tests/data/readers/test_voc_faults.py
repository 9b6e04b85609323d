"""Faults of the files of a VOC folder: all are found, counted and survived."""

import numpy as np
import pytest
from PIL import Image

from tf_frcnn.data.checks.problems import ALLOWED_ACTIONS, DataError, Policy
from tf_frcnn.data.decoding.resizing import Resizing
from tf_frcnn.data.pipeline.batching import evaluation_batches, training_batches
from tf_frcnn.data.readers.voc import read_voc

RESIZING = Resizing((64,), 96, ((96, 96),))

# All kinds but those of formats with numbered objects.
OF_VOC = {k: a for k, a in ALLOWED_ACTIONS.items() if k != "repeated_object"}


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
    voc.image("foreign.png", file_of(image_of(40, 60), "PPM"))
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
    write_odd_objects(voc, xml_of)
    grey = np.full([40, 60], 1023, np.uint16)
    voc.example("deep", box)
    voc.image("deep.png", file_of(Image.fromarray(grey), "PNG"))
    (voc.root.parent / "linked.png").write_bytes(png)
    (voc.root / "JPEGImages" / "linked.png").symlink_to(voc.root.parent / "linked.png")
    voc.annotation("linked", box)
    faulty = "lost cut foreign bare garbled twins sized nan swapped click outside"
    more = "stranger empty turned flag double outline deep linked good"
    voc.split("train", "good", *faulty.split(), *more.split())
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
        "box_outside": [
            f"Annotations/{stem}.xml"
            for stem in ("outside", "flag", "double", "outline")
        ],
        "unknown_class": ["Annotations/stranger.xml"],
        "empty_annotation": ["Annotations/empty.xml"],
        "rotated_image": ["JPEGImages/turned.jpg"],
        "unknown_flag": ["Annotations/flag.xml"],
        "several_boxes": ["Annotations/double.xml"],
        "outline_only": ["Annotations/outline.xml"],
        "unused_bits": ["JPEGImages/deep.png"],
        "counted_from_0": [f"{voc.root}:train"],
        "outside_link": ["JPEGImages/linked.png"],
    }


def write_odd_objects(voc, xml_of):
    """Writes three images with objects in odd forms, which begin at pixel 0."""
    at_0 = xml_of("cat", 0, 5, 30, 30)
    voc.example("flag", at_0.replace("<bndbox>", "<difficult>?</difficult><bndbox>"))
    box = at_0.partition("</name>")[2].removesuffix("</object>")
    voc.example("double", at_0.replace("</object>", f"{box}</object>"))
    points = "<x1>0</x1><y1>5</y1><x2>30</x2><y2>30</y2>"
    outline = f"<polygon>{points}</polygon>"
    voc.example("outline", f"<object><name>cat</name>{outline}</object>")


def test_every_kind_of_fault_is_found_named_and_survived(
    voc, xml_of, image_of, file_of
):
    expected = write_every_fault(voc, xml_of, image_of, file_of)
    assert expected.keys() == OF_VOC.keys()
    examples = read_voc(
        voc.root, "train", class_names=["cat"], policy=Policy({"unknown_class": "drop"})
    )
    problems = examples.problems
    assert {kind: problems.files(kind) for kind in problems.counts()} == expected
    assert problems.counts() == {
        **dict.fromkeys(OF_VOC, 1),
        "unreadable_image": 2,
        "box_outside": 6,
    }
    assert [(r.image_id, len(r.boxes)) for r in examples.records] == [
        ("good", 1),
        ("twins", 1),
        ("nan", 1),
        ("swapped", 1),
        ("click", 1),
        ("outside", 1),
        ("stranger", 1),
        ("empty", 0),
        ("turned", 1),
        ("flag", 1),
        ("double", 2),
        ("outline", 1),
        ("deep", 1),
        ("linked", 1),
    ]


@pytest.mark.slow
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
    [kind for kind, actions in OF_VOC.items() if actions != ("keep",)],
)
def test_every_kind_of_fault_can_stop_the_reading(voc, xml_of, image_of, file_of, kind):
    expected = write_every_fault(voc, xml_of, image_of, file_of)
    policy = Policy({"unknown_class": "drop", kind: "raise"})
    with pytest.raises(DataError, match=f"^{expected[kind][0]}: {kind}: "):
        read_voc(voc.root, "train", class_names=["cat"], policy=policy)


@pytest.mark.parametrize(
    ("kind", "stem"),
    [
        ("ambiguous_image", "twins"),
        ("several_boxes", "double"),
        ("outline_only", "outline"),
        ("unused_bits", "deep"),
        ("missing_annotation", "bare"),
    ],
)
def test_images_that_could_be_used_can_be_dropped(
    voc, xml_of, image_of, file_of, kind, stem
):
    write_every_fault(voc, xml_of, image_of, file_of)
    for action in ALLOWED_ACTIONS[kind]:
        if action != "raise":
            policy = Policy({"unknown_class": "drop", kind: action})
            examples = read_voc(voc.root, "train", policy=policy)
            ids = {record.image_id for record in examples.records}
            assert (stem in ids) == (action != "drop")


@pytest.mark.parametrize("scale", [2, 0.5])
def test_boxes_on_an_image_that_was_resized_are_scaled_with_it(voc, xml_of, scale):
    size = {"height": round(40 * scale), "width": round(60 * scale)}
    corners = (scale * value for value in (10, 20, 30, 40))
    voc.image("a.png")
    voc.annotation("a", xml_of("cat", *corners), **size)
    voc.split("train", "a")
    examples = read_voc(voc.root, "train", one_based=False)
    np.testing.assert_array_equal(examples.records[0].boxes, [[20, 10, 40, 30]])
    (row,) = examples.problems.rows
    assert (row.kind, row.action) == ("wrong_size", "repair")
    assert row.detail.endswith(f"the boxes are scaled by {1 / scale:g}")
    with pytest.raises(DataError, match="no image that can be used: wrong_size, first"):
        read_voc(voc.root, "train", policy=Policy({"wrong_size": "drop"}))


def test_a_size_of_another_shape_drops_the_image_and_never_keeps_its_boxes(voc, xml_of):
    voc.example("a", xml_of("cat", 5, 5, 30, 30))
    voc.image("b.png")
    voc.annotation("b", xml_of("cat", 5, 5, 30, 30), height=60, width=40)
    voc.split("train", "a", "b")
    examples = read_voc(voc.root, "train")
    assert [record.image_id for record in examples.records] == ["a"]
    (row,) = examples.problems.rows
    assert (row.kind, row.file, row.action) == (
        "wrong_size",
        "Annotations/b.xml",
        "drop",
    )


def test_an_image_without_annotation_can_be_kept_as_one_without_objects(voc, xml_of):
    voc.example("a", xml_of("cat", 5, 5, 30, 30))
    voc.image("b.png")
    voc.split("train", "a", "b")
    policy = Policy({"missing_annotation": "keep"})
    examples = read_voc(voc.root, "train", policy=policy)
    assert [len(record.boxes) for record in examples.records] == [1, 0]
    assert examples.problems.counts() == {"missing_annotation": 1}
    assert examples.problems.rows[0].action == "keep"


def test_boxes_that_begin_at_0_in_many_files_say_that_the_tool_counts_from_0(
    voc, xml_of
):
    for stem in "abcd":
        voc.example(stem, xml_of("cat", 0, 5, 30, 30))
    voc.split("train", *"abcd")
    problems = read_voc(voc.root, "train").problems
    assert problems.counts() == {"box_outside": 4, "counted_from_0": 1}
    assert "set one_based: false" in problems.rows[-1].detail
    assert read_voc(voc.root, "train", one_based=False).problems.rows == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["TIFF", "WEBP"])
def test_formats_that_tensorflow_does_not_decode_are_read_from_a_copy(
    voc, xml_of, image_of, file_of, kind
):
    image = image_of(40, 60)
    voc.image(
        "a.img", file_of(image, kind, **({"lossless": True} if kind == "WEBP" else {}))
    )
    voc.annotation("a", xml_of("cat", 5, 5, 30, 30))
    voc.split("train", "a")
    examples = read_voc(voc.root, "train")
    assert examples.problems.rows == []
    assert examples.records[0].source == str(voc.root / "JPEGImages" / "a.img")
    (batch,) = evaluation_batches(
        examples, Resizing((40,), 60, ((40, 60),)), batch_size=1
    )
    np.testing.assert_array_equal(batch["images"][0], image)


def test_a_pipe_among_the_files_stops_nothing(voc, xml_of, pipe):
    voc.example("a", xml_of("cat", 5, 5, 30, 30))
    voc.image("b.png")
    (voc.root / "Annotations" / "b.xml").symlink_to(pipe)
    voc.annotation("c", xml_of("cat", 5, 5, 30, 30))
    (voc.root / "JPEGImages" / "c.png").symlink_to(pipe)
    voc.split("train", "a", "b", "c")
    problems = read_voc(voc.root, "train").problems
    details = {row.kind: row.detail for row in problems.rows}
    assert details["unreadable_annotation"] == "it is not a regular file"
    assert details["unreadable_image"] == "it is not a regular file"


def test_links_out_of_the_folder_are_followed_unless_refused(voc, xml_of, tmp_path):
    for stem in "ab":
        voc.example(stem, xml_of("cat", 5, 5, 30, 30))
    image = voc.root / "JPEGImages" / "b.png"
    image.rename(tmp_path / "elsewhere.png")
    image.symlink_to(tmp_path / "elsewhere.png")
    voc.split("train", "a", "b")
    followed = read_voc(voc.root, "train")
    assert len(followed.records) == 2
    assert followed.problems.counts() == {"outside_link": 1}
    refused = read_voc(voc.root, "train", follow_links=False)
    assert [record.image_id for record in refused.records] == ["a"]
    assert refused.problems.counts() == {"missing_image": 1, "outside_link": 1}


def test_where_no_file_can_be_read_the_first_reason_is_told(voc):
    for stem in "ab":
        voc.image(f"{stem}.png")
        (voc.root / "Annotations" / f"{stem}.xml").write_text("<annotation>")
    voc.split("train", *"ab")
    with pytest.raises(DataError) as error:
        read_voc(voc.root, "train")
    assert (
        "2 of 2 XML files cannot be read, the first is Annotations/a.xml: it is not"
        in (str(error.value))
    )
    with pytest.raises(DataError, match="unreadable_annotation, first Annotations/a"):
        read_voc(voc.root, "train", class_names=["cat"])


def test_a_split_that_lists_no_image_says_so(voc, xml_of):
    voc.example("a", xml_of("cat", 5, 5, 30, 30))
    voc.split("cat_val", "a -1")
    with pytest.raises(DataError, match="voc:cat_val lists no image"):
        read_voc(voc.root, "cat_val")
