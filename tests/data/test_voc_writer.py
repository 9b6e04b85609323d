import numpy as np

from tf_frcnn.data.readers.shapes import make_shapes
from tf_frcnn.data.readers.voc import read_voc
from tf_frcnn.data.voc_writer import write_voc


def test_what_is_written_is_read_again(tmp_path):
    shapes = make_shapes(6, seed=1)
    write_voc(shapes.subset(range(4)), tmp_path, "train")
    write_voc(shapes.subset([4, 5]), tmp_path, "test")
    for split, rows in (("train", range(4)), ("test", [4, 5])):
        back = read_voc(tmp_path, split, class_names=shapes.class_names)
        expected = shapes.subset(rows)
        for (_, data), (_, same) in zip(back.stream(), expected.stream(), strict=True):
            assert data == same
        for record, same in zip(back.records, expected.records, strict=True):
            assert record[0] == same[0] and record[2:5] == same[2:5]
            for field, same_field in zip(record[5:], same[5:], strict=True):
                np.testing.assert_array_equal(field, same_field)


def test_the_file_holds_pixels_from_1_and_the_names_as_they_are(voc, xml_of, tmp_path):
    hard = "<difficult>1</difficult>"
    voc.example("a", xml_of("Cat &amp; dog", 1, 3.5, 60, 40, extra=hard))
    voc.split("train", "a")
    write_voc(read_voc(voc.root, "train"), tmp_path / "copy", "train")
    text = (tmp_path / "copy" / "Annotations" / "a.xml").read_text()
    assert "<name>Cat &amp; dog</name>" in text and "<difficult>1</difficult>" in text
    for corner in ("<xmin>1<", "<ymin>3.5<", "<xmax>60<", "<ymax>40<"):
        assert corner in text


def test_images_in_subfolders_and_of_foreign_formats_are_read_again(
    voc, xml_of, file_of, image_of, tmp_path
):
    for name in ("JPEGImages", "Annotations"):
        (voc.root / name / "b").mkdir()
    voc.image("b/a.webp", file_of(image_of(40, 60), "WEBP", lossless=True))
    voc.annotation("b/a", xml_of("cat", 1, 3.5, 60, 40))
    voc.split("train", "b/a")
    original = read_voc(voc.root, "train")
    write_voc(original, tmp_path / "copy", "train")
    assert (tmp_path / "copy" / "JPEGImages" / "b" / "a.png").is_file()
    copy = read_voc(tmp_path / "copy", "train")
    assert [record.image_id for record in copy.records] == ["b/a"]
    np.testing.assert_array_equal(copy.records[0].boxes, original.records[0].boxes)


def test_a_crowd_becomes_a_difficult_object(painted_set, with_crowds, tmp_path):
    examples = with_crowds(painted_set())
    write_voc(examples, tmp_path, "val")
    for record, same in zip(
        read_voc(tmp_path, "val").records, examples.records, strict=True
    ):
        np.testing.assert_array_equal(record.difficult, same.difficult | same.crowd)
        assert not record.crowd.any()
