import json

import numpy as np

from tf_frcnn.data.coco_writer import write_coco
from tf_frcnn.data.readers.coco import read_coco
from tf_frcnn.data.readers.shapes import make_shapes


def test_what_is_written_is_read_again(tmp_path):
    shapes = make_shapes(6, seed=1)
    write_coco(shapes.subset(range(4)), tmp_path, "train")
    write_coco(shapes.subset([4, 5]), tmp_path, "test")
    for split, rows in (("train", range(4)), ("test", [4, 5])):
        back = read_coco(tmp_path, split)
        expected = shapes.subset(rows)
        assert back.class_names == shapes.class_names
        for (_, data), (_, same) in zip(back.stream(), expected.stream(), strict=True):
            assert data == same
        for record, same in zip(back.records, expected.records, strict=True):
            assert record[0] == same[0] and record[2:5] == same[2:5]
            for field, same_field in zip(record[5:], same[5:], strict=True):
                np.testing.assert_array_equal(field, same_field)


def test_the_file_has_what_cocos_tools_need(painted_set, tmp_path):
    write_coco(painted_set(), tmp_path, "val")
    content = json.loads((tmp_path / "annotations/instances_val.json").read_text())
    assert content["images"][2] == {
        **{"id": 3, "file_name": "image2.png", "height": 60, "width": 32}
    }
    assert content["categories"][:2] == [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]
    assert content["annotations"][:3] == [
        {
            **{"id": number, "image_id": image, "category_id": label + 1},
            **{"bbox": box, "area": box[2] * box[3], "iscrowd": 0, "ignore": hard},
        }
        for number, image, label, box, hard in [
            (1, 2, 1, [2.0, 4.0, 11.0, 16.0], 0),
            (2, 3, 2, [2.0, 4.0, 12.0, 16.0], 0),
            (3, 3, 1, [0.0, 0.0, 8.0, 8.0], 1),
        ]
    ]


def test_names_with_folders_and_foreign_letters_are_kept(painted_set, tmp_path):
    examples = painted_set()
    first = examples.records[0]._replace(image_id="Käse/größer")
    examples.__dict__["records"] = (first, *examples.records[1:])
    write_coco(examples, tmp_path, "val")
    assert (tmp_path / "images" / "Käse" / "größer.png").is_file()
    assert read_coco(tmp_path, "val").records[0].image_id == "Käse/größer"


def test_crowds_are_written_and_read_again(painted_set, with_crowds, tmp_path):
    examples = with_crowds(painted_set())
    write_coco(examples, tmp_path, "val")
    back = read_coco(tmp_path, "val")
    for record, same in zip(back.records, examples.records, strict=True):
        np.testing.assert_array_equal(record.crowd, same.crowd)
        np.testing.assert_array_equal(record.difficult, same.difficult)
    assert back.has_crowds and not back.subset([0, 3]).has_crowds
