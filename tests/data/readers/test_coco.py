import numpy as np
import pytest
from pycocotools.coco import COCO

from tests.helpers.paths import SHARED
from tf_frcnn.data.checks.problems import DataError, Policy
from tf_frcnn.data.coco_writer import write_coco
from tf_frcnn.data.readers.coco import coco_splits, read_coco
from tf_frcnn.data.readers.voc import read_voc
from tf_frcnn.data.readers.yolo import read_yolo

BOX = {"image_id": 1, "category_id": 1, "bbox": [20, 10, 40, 20]}
# Where the JSON file of a split "train" and its image lie.
LAYOUTS = {
    "COCO": ("annotations/instances_train.json", "train/a.png"),
    "Datumaro": ("annotations/instances_train.json", "images/train/a.png"),
    "flat": ("annotations/instances_train.json", "images/a.png"),
    "side by side": ("annotations/train.json", "a.png"),
    "Roboflow": ("train/_annotations.coco.json", "train/a.png"),
    "FiftyOne": ("train/labels.json", "train/data/a.png"),
    "by name": ("train.json", "train/a.png"),
}
WHOLE = {
    "CVAT": ("annotations/instances_default.json", "images/a.png"),
    "Label Studio": ("result.json", "images/a.png"),
    "FiftyOne": ("labels.json", "data/a.png"),
    "alone": ("annotations.json", "a.png"),
}


@pytest.fixture
def write(write_image, write_coco_json, tmp_path):
    def write(file, image, name="a.png"):
        write_image(tmp_path / image)
        return write_coco_json(tmp_path / file, [(1, name)], [BOX])

    return write


def check_cat(examples):
    (record,) = examples.records
    np.testing.assert_array_equal(record.boxes, [[10, 20, 30, 60]])
    assert (record.image_id, record.labels.tolist()) == ("a", [0])
    assert examples.class_names == ("cat", "dog") and examples.problems.rows == []


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_layouts_of_tools_with_splits_are_read(write, tmp_path, layout):
    file = write(*LAYOUTS[layout])
    assert coco_splits(tmp_path) == ["train"]
    check_cat(read_coco(tmp_path, "train"))
    check_cat(read_coco(str(file), "any"))
    with pytest.raises(DataError, match="no split 'test'; the splits there are train"):
        read_coco(tmp_path, "test")


@pytest.mark.parametrize("layout", WHOLE)
def test_a_data_set_of_one_file_is_read_under_any_name(write, tmp_path, layout):
    write(*WHOLE[layout])
    assert coco_splits(tmp_path) == [""]
    check_cat(read_coco(tmp_path, "train"))


@pytest.mark.parametrize(
    "name", ["images/a.png", "..\\images\\a.png", "/data/upload/3/a.png"]
)
def test_names_with_folders_are_found(write, tmp_path, name):
    """Label Studio writes its own server's paths."""
    write("result.json", "images/a.png", name)
    check_cat(read_coco(tmp_path, "all"))


def test_a_sum_of_splits_joins_their_images(
    write, write_image, write_coco_json, tmp_path
):
    write("annotations/instances_train.json", "train/a.png")
    write_image(tmp_path / "val" / "a.png", 50, 60)
    file = tmp_path / "annotations" / "instances_val.json"
    categories = [(4, "ape"), (7, "dog")]
    write_coco_json(file, [(1, "a.png")], [BOX | {"category_id": 7}], categories)
    examples = read_coco(tmp_path, "train+val")
    assert examples.class_names == ("cat", "dog", "ape")
    assert [r.image_id for r in examples.records] == ["train/a", "val/a"]
    assert [r.labels.tolist() for r in examples.records] == [[0], [1]]
    assert [r.height for r in examples.records] == [40, 50]


def test_labels_follow_the_class_names_given(write, tmp_path):
    write("train.json", "train/a.png")
    examples = read_coco(tmp_path, "train", class_names=["dog", "ape", "cat"])
    assert examples.records[0].labels.tolist() == [2]
    with pytest.raises(DataError, match="'cat' is not one of the classes dog"):
        read_coco(tmp_path, "train", class_names=["dog"])
    drop = Policy({"unknown_class": "drop"})
    examples = read_coco(tmp_path, "train", class_names=["dog"], policy=drop)
    assert examples.problems.counts() == {"unknown_class": 1, "empty_annotation": 1}


def test_faults_of_boxes_and_images_are_counted(write_image, write_coco_json, tmp_path):
    write_image(tmp_path / "a.png")
    write_image(tmp_path / "wide.png", 40, 90)
    (tmp_path / "text.png").write_text("no image")
    boxes = [[20, 10, 0, 20], [70, 10, 20, 20], [30, 10, -20, 20]]
    boxes += [[1, 2, float("nan"), 4], [90, 50, 5, 5]]
    images = [(1, "a.png"), (2, "none.png"), (3, "text.png")]
    images += [{"id": 4, "file_name": "wide.png", "height": 40, "width": 80}]
    write_coco_json(
        tmp_path / "result.json",
        images,
        [BOX | {"bbox": box} for box in boxes],
    )
    examples = read_coco(tmp_path, "all")
    assert examples.problems.counts() == {
        "missing_image": 1,
        "unreadable_image": 1,
        "wrong_size": 1,
        "non_finite_box": 1,
        "swapped_corners": 1,
        "zero_area_box": 1,
        "box_outside": 2,
    }
    (record,) = examples.records
    np.testing.assert_array_equal(record.boxes, [[10, 70, 30, 80], [10, 10, 30, 30]])


def test_boxes_of_an_image_that_is_stored_turned(
    write_image, write_coco_json, turned_exif, tmp_path
):
    """The file has 80 x 40 pixels and is shown with 40 x 80."""
    write_image(tmp_path / "a.jpg", 80, 40, "JPEG", exif=turned_exif)
    drawn = {
        (40, 80): ([20, 10, 40, 20], {"rotated_image": 1}),
        (80, 40): ([10, 20, 20, 40], {"wrong_size": 1, "rotated_image": 1}),
    }
    for (height, width), (bbox, counts) in drawn.items():
        image = {"id": 1, "file_name": "a.jpg", "height": height, "width": width}
        write_coco_json(tmp_path / "result.json", [image], [BOX | {"bbox": bbox}])
        examples = read_coco(tmp_path, "all")
        np.testing.assert_array_equal(examples.records[0].boxes, [[10, 20, 30, 60]])
        assert examples.problems.counts() == counts


def test_a_folder_of_another_form_is_named(in_every_form, tmp_path):
    root = in_every_form("yolo", tmp_path / "data")
    with pytest.raises(DataError, match=r"holds no COCO JSON file.*reader 'yolo'"):
        read_coco(root, "train")


def test_a_file_without_categories_needs_class_names(
    write_image, write_coco_json, tmp_path
):
    write_image(tmp_path / "a.png")
    write_coco_json(tmp_path / "result.json", [(1, "a.png")], categories=())
    with pytest.raises(DataError, match="has no category; give class_names"):
        read_coco(tmp_path, "all")
    assert len(read_coco(tmp_path, "all", class_names=["cat"]).records) == 1


def test_records_are_what_pycocotools_sees(write_image, write_coco_json, tmp_path):
    """The ids have gaps, the order of the annotations is none, and one is a crowd."""
    rng = np.random.default_rng(0)
    ids = [9, 4, 139]
    for key in ids:
        write_image(tmp_path / "images" / f"{key:012d}.png", 40, 80, seed=key)
    categories = [(1, "cat"), (90, "dog"), (13, "ape")]
    annotations = [
        {
            "image_id": int(rng.choice(ids[:2])),
            "category_id": categories[int(rng.integers(3))][0],
            "bbox": [*rng.uniform(0, 20, 2).round(2), *rng.uniform(5, 20, 2).round(2)],
            "iscrowd": int(number == 5),
            "id": int(number) + 100,
        }
        for number in rng.permutation(12)
    ]
    images = [(key, f"{key:012d}.png") for key in ids]
    file = tmp_path / "annotations" / "instances_val.json"
    write_coco_json(file, images, annotations, categories)
    check_equal_to_pycocotools(read_coco(tmp_path, "val"), file)


def check_equal_to_pycocotools(examples, file):
    coco = COCO(str(file))
    names = [own["name"] for own in coco.loadCats(sorted(coco.getCatIds()))]
    assert examples.class_names == tuple(names)
    records = {record.image_id: record for record in examples.records}
    assert len(records) == len(coco.getImgIds())
    for key in coco.getImgIds():
        (image,) = coco.loadImgs(key)
        record = records[image["file_name"].removesuffix(".png").removesuffix(".jpg")]
        annotations = coco.loadAnns(coco.getAnnIds(imgIds=key))
        expected = np.array([a["bbox"] for a in annotations]).reshape(-1, 4)
        ymin, xmin, ymax, xmax = record.boxes.T
        found = np.stack([xmin, ymin, xmax - xmin, ymax - ymin], axis=1)
        np.testing.assert_allclose(found, expected, atol=1e-3)
        for label, crowd, annotation in zip(
            record.labels, record.crowd, annotations, strict=True
        ):
            (category,) = coco.loadCats(annotation["category_id"])
            assert category["name"] == names[label]
            assert crowd == bool(annotation["iscrowd"])
        assert not record.difficult.any()


@pytest.mark.skipif(
    not (SHARED / "data" / "bccd").is_dir(),
    reason=f"BCCD is not in {SHARED}; set TF_FRCNN_SHARED to the folder of data/bccd",
)
def test_bccd_as_coco_is_bccd_as_voc(tmp_path):
    voc = read_voc(SHARED / "data" / "bccd", "test")
    write_coco(voc, tmp_path, "test")
    coco = read_coco(tmp_path, "test")
    assert coco.class_names == voc.class_names and coco.problems.rows == []
    for own, other in zip(coco.records, voc.records, strict=True):
        assert (own[0], own[2:5]) == (other[0], other[2:5])
        np.testing.assert_allclose(own.boxes, other.boxes, atol=1e-3)
        np.testing.assert_array_equal(own.labels, other.labels)
    file = tmp_path / "annotations" / "instances_test.json"
    check_equal_to_pycocotools(coco, file)


@pytest.mark.skipif(
    not (SHARED / "cases" / "data" / "coco").is_dir(),
    reason=f"the cases are not in {SHARED}; set TF_FRCNN_SHARED to the folder of cases",
)
def test_the_same_picture_in_both_forms_has_the_same_box():
    """YOLO's file has one decimal place, so that its box is only near COCO's."""
    cases = SHARED / "cases" / "data"
    (coco,) = read_coco(cases / "coco", "train2017").records
    (yolo,) = read_yolo(cases / "yolo", "train").records
    np.testing.assert_array_equal(coco.boxes, [[10, 10, 30, 40]])
    np.testing.assert_allclose(yolo.boxes, [[9.6, 12.8, 28.8, 38.4]], rtol=1e-6)
    assert coco.image_id == yolo.image_id == "1"
    np.testing.assert_array_equal(coco.labels, yolo.labels)
    assert (coco.height, coco.width) == (yolo.height, yolo.width) == (48, 64)
