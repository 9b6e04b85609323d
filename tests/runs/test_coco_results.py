import json
from pathlib import Path

import pytest

from tf_frcnn.runs.coco_results import CocoIds, write_coco_results

ANNOTATIONS = {
    "images": [
        {"id": 70, "file_name": "a.jpg"},
        {"id": 71, "file_name": "more/a.jpg"},
    ],
    "categories": [{"id": 18, "name": "dog"}, {"id": 17, "name": "cat"}],
}
CAT = {"class": "cat", "score": 0.75, "ymin": 1.5, "xmin": 2, "ymax": 4, "xmax": 10.25}
DOG = CAT | {"class": "dog", "score": 0.5}


@pytest.fixture
def annotations(tmp_path):
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(ANNOTATIONS))
    return path


def written(tmp_path, entries, ids):
    lines = tmp_path / "detections.jsonl"
    lines.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    count = write_coco_results(lines, ids, tmp_path / "coco.json")
    results = json.loads((tmp_path / "coco.json").read_text())
    assert len(results) == count
    return results


def test_ids_are_the_numbers_of_the_files_and_the_places_of_the_classes(tmp_path):
    entries = [
        {"file": "in/000000000139.jpg", "detections": [DOG, CAT]},
        {"file": "in/7.jpg", "error": "it is damaged"},
    ]
    results = written(tmp_path, entries, CocoIds(("cat", "dog")))
    box = [2, 1.5, 8.25, 2.5]
    assert results == [
        {"image_id": 139, "category_id": 2, "bbox": box, "score": 0.5},
        {"image_id": 139, "category_id": 1, "bbox": box, "score": 0.75},
    ]


def test_ids_may_be_those_of_annotations(tmp_path, annotations):
    ids = CocoIds(("cat", "dog"), annotations)
    entries = [
        {"file": "in/more/a.jpg", "detections": [DOG]},
        {"file": "/in/a.jpg", "detections": [CAT]},
    ]
    found = [(r["image_id"], r["category_id"]) for r in written(tmp_path, entries, ids)]
    assert found == [(71, 18), (70, 17)]


def test_without_detections_the_file_is_an_empty_list(tmp_path):
    assert written(tmp_path, [], CocoIds(("cat",))) == []


def test_pycocotools_reads_the_results(tmp_path, annotations):
    coco = pytest.importorskip("pycocotools.coco")
    ids = CocoIds(("cat", "dog"), annotations)
    written(tmp_path, [{"file": "a.jpg", "detections": [CAT]}], ids)
    results = coco.COCO(str(annotations)).loadRes(str(tmp_path / "coco.json"))
    assert results.getImgIds() and results.anns[1]["area"] == 8.25 * 2.5


def test_an_image_without_an_id_or_with_that_of_another_is_named(annotations):
    with pytest.raises(ValueError, match=r"in/b\.jpg has no image id.* --coco-ids"):
        CocoIds(("cat",)).require_own(["in/1.jpg", "in/b.jpg"])
    with pytest.raises(ValueError, match=r"x/01\.jpg and y/1\.png have the image id 1"):
        CocoIds(("cat",)).require_own(["x/01.jpg", "y/1.png"])
    with pytest.raises(ValueError, match=r"no image has the file_name b\.jpg"):
        CocoIds(("cat",), annotations).require_own(["in/a.jpg", "in/b.jpg"])
    CocoIds(("cat",)).require_own(["1.jpg", "2.jpg", "1.jpg"])


@pytest.mark.parametrize("content", ["x", "[]", '{"images": [], "categories": 1}'])
def test_a_file_that_has_no_ids_is_named(tmp_path, content):
    path = tmp_path / "ids.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"--coco-ids .*ids\.json: it is no file of"):
        CocoIds(("cat",), path)


def test_a_class_that_the_annotations_lack_is_named(annotations):
    with pytest.raises(ValueError, match="its categories lack bird, which the run"):
        CocoIds(("cat", "bird"), annotations)


def test_a_file_that_does_not_exist_is_named():
    with pytest.raises(FileNotFoundError, match=r"none\.json"):
        CocoIds(("cat",), Path("none.json"))
