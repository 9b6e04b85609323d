import json

import pytest

from tf_frcnn.data.checks.boxes import DrawnObject
from tf_frcnn.data.checks.problems import DataError, Problems
from tf_frcnn.data.readers.coco_json import read_coco_json

BOX = {"image_id": 1, "category_id": 1, "bbox": [20, 10, 40.5, 20]}
CAT = DrawnObject("cat", (10.0, 20.0, 30.0, 60.5), False)


@pytest.fixture
def read(write_coco_json, tmp_path):
    def read(annotations=(), images=((1, "a.png"),), **more):
        problems = Problems()
        path = write_coco_json(tmp_path / "a.json", images, annotations, **more)
        return read_coco_json(path, problems), problems

    return read


def objects(file):
    return [image.objects for image in file.images]


def test_a_box_is_its_corner_and_its_sides(read):
    file, problems = read([BOX])
    assert objects(file) == [[CAT]] and problems.rows == []


def test_classes_follow_the_ids_which_may_have_gaps(read):
    categories = [(90, "dog"), (2, " black \n cat "), (17, "ape")]
    boxes = [BOX | {"category_id": 90}, BOX | {"category_id": 2}]
    file, _ = read(boxes, categories=categories)
    assert file.class_names == ("black cat", "ape", "dog")
    assert [drawn.name for drawn in file.images[0].objects] == ["dog", "black cat"]


def test_two_categories_of_one_name_are_one_class(read):
    file, _ = read([BOX], categories=[(1, "cat"), (2, "dog"), (3, "cat")])
    assert file.class_names == ("cat", "dog")


def test_a_group_that_has_no_objects_is_no_class(read, tmp_path):
    file, _ = read([BOX], categories=[(0, "animals"), (1, "cat")])
    assert file.class_names == ("animals", "cat")
    content = json.loads((tmp_path / "a.json").read_text())
    content["categories"][0]["supercategory"] = "none"
    content["categories"][1]["supercategory"] = "animals"
    (tmp_path / "a.json").write_text(json.dumps(content))
    assert read_coco_json(tmp_path / "a.json", Problems()).class_names == ("cat",)
    # COCO's person is of the group person.
    content["categories"][1]["supercategory"] = "cat"
    (tmp_path / "a.json").write_text(json.dumps(content))
    assert "animals" in read_coco_json(tmp_path / "a.json", Problems()).class_names


@pytest.mark.parametrize("mark", [{"ignore": 1}, {"attributes": {"difficult": True}}])
def test_what_is_to_be_ignored_is_difficult(read, mark):
    file, _ = read([BOX | mark, BOX | {"attributes": []}])
    assert objects(file) == [[CAT._replace(difficult=True), CAT]]


def test_a_region_with_iscrowd_is_a_crowd(read):
    file, _ = read([BOX | {"iscrowd": 1}, BOX | {"iscrowd": 0}])
    assert objects(file) == [[CAT._replace(crowd=True), CAT]]


def test_images_without_annotations_stay(read):
    file, _ = read([BOX], images=[(1, "a.png"), (2, "b.png")])
    assert objects(file) == [[CAT], []]


def test_a_file_without_annotations_is_read(tmp_path):
    content = {"images": [{"id": 1, "file_name": "a.png"}], "categories": []}
    (tmp_path / "a.json").write_text(json.dumps(content))
    file = read_coco_json(tmp_path / "a.json", Problems())
    assert objects(file) == [[]] and file.class_names == ()


@pytest.mark.parametrize(
    ("sides", "size"),
    [
        ({"height": 40, "width": 80}, (40, 80)),
        ({"height": "40.0", "width": 80.0}, (40, 80)),
        ({"height": 0, "width": 80}, None),
        ({"height": None, "width": 80}, None),
        ({"width": 80}, None),
    ],
)
def test_sizes_are_read_where_they_are_stated(read, sides, size):
    file, _ = read([], images=[{"id": 1, "file_name": "a.png", **sides}])
    assert file.images[0].size == size


def test_ids_may_be_texts_on_one_side(read):
    file, _ = read([BOX | {"image_id": "1", "category_id": "1"}])
    assert objects(file) == [[CAT]]


def test_polygons_stand_for_a_missing_box(read):
    polygons = [[20, 30, 60.5, 20, 30, 12], [25, 10, 26, 11, 25, 11]]
    annotation = {"image_id": 1, "category_id": 1, "segmentation": polygons}
    for box in ({}, {"bbox": []}, {"bbox": None}):
        file, _ = read([annotation | box])
        assert objects(file) == [[CAT]]


@pytest.mark.parametrize(
    "bad",
    [
        {"bbox": [1, 2, 3]},
        {"bbox": [1, 2, "x", 4]},
        {"bbox": None},
        {"bbox": None, "segmentation": {"counts": "abc", "size": [40, 80]}},
        {"bbox": None, "segmentation": []},
    ],
)
def test_an_image_whose_annotation_is_not_understood_is_dropped(read, bad):
    images = [(1, "a.png"), (2, "b.png")]
    file, problems = read([BOX | bad, BOX, BOX | {"image_id": 2}], images=images)
    assert [image.name for image in file.images] == ["b.png"]
    assert problems.counts() == {"unreadable_annotation": 1}
    assert "a.png" in problems.rows[0].file and "id 1" in problems.rows[0].detail


def test_annotations_of_no_image_are_counted(read):
    file, problems = read([BOX | {"image_id": 7}, BOX])
    assert objects(file) == [[CAT]]
    assert problems.counts() == {"missing_image": 1}
    assert "image id 7" in problems.rows[0].detail


def test_an_unknown_category_stays_for_the_policy_to_judge(read):
    file, _ = read([BOX | {"category_id": 8}])
    assert file.images[0].objects[0].name == "category id 8"


def test_an_annotation_that_occurs_twice_counts_once(read):
    same = [BOX | {"id": 5}, BOX | {"id": 5}]
    other = [BOX | {"id": 5, "category_id": 3}, BOX | {"id": 6}]
    file, problems = read([*same, *other])
    assert [drawn.name for drawn in file.images[0].objects] == ["cat", "dog", "cat"]
    assert problems.counts() == {"repeated_object": 1}


def test_an_image_that_is_listed_twice_counts_once(read):
    file, problems = read([BOX], images=[(1, "a.png"), (1, "a.png")])
    assert objects(file) == [[CAT]]
    assert problems.counts() == {"repeated_image": 1}


def test_images_that_share_an_id_are_dropped_since_nobody_knows_whose_objects(read):
    images = [(1, "a.png"), (2, "c.png"), (1, "b.png")]
    file, problems = read([BOX], images=images)
    assert [image.name for image in file.images] == ["c.png"]
    assert problems.rows[0].kind == "ambiguous_image"
    assert "a.png and b.png share the image id 1" in problems.rows[0].detail


def test_an_image_without_a_name_is_counted(read):
    file, problems = read([], images=[{"id": 3}, {"id": 1, "file_name": "a.png"}])
    assert [image.name for image in file.images] == ["a.png"]
    assert problems.counts() == {"missing_image": 1}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"a\.json is not valid JSON"),
        ("[]", r"a\.json is not COCO JSON .* no list 'images'"),
        ('{"images": [], "categories": {}}', "no list 'categories'"),
        ('{"images": [1], "categories": []}', "no list 'images'"),
        ('{"images": [], "categories": [], "annotations": [2]}', "list 'annotations'"),
        (
            '{"images": [], "categories": [{"id": "x", "name": "a"}]}',
            "lacks a whole id",
        ),
        ('{"images": [], "categories": [{"id": 1}]}', "or a name"),
    ],
)
def test_what_is_no_coco_file_is_refused(tmp_path, content, message):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(DataError, match=message):
        read_coco_json(tmp_path / "a.json", Problems())


def test_a_byte_order_mark_is_no_fault(read, tmp_path):
    read([BOX])
    text = (tmp_path / "a.json").read_text()
    for encoding in ("utf-8-sig", "utf-16"):
        (tmp_path / "b.json").write_text(text, encoding=encoding)
        assert objects(read_coco_json(tmp_path / "b.json", Problems())) == [[CAT]]
