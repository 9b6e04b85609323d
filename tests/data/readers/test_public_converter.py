"""BCCD as a public program, globox, converts it."""

import globox
import numpy as np
import pytest

from tests.helpers.paths import SHARED
from tf_frcnn import read_data

BCCD = SHARED / "data" / "bccd"
CLASSES = ("RBC", "WBC", "Platelets")

pytestmark = pytest.mark.skipif(
    not BCCD.is_dir(),
    reason=f"BCCD is not in {SHARED}; set TF_FRCNN_SHARED to the folder of data/bccd",
)


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """Returns the folder of all images with COCO's and YOLO's annotations."""
    folder = tmp_path_factory.mktemp("bccd")
    (folder / "images").symlink_to(BCCD / "JPEGImages")
    annotations = globox.AnnotationSet.from_pascal_voc(BCCD / "Annotations")
    annotations.save_coco(folder / "annotations.json", auto_ids=True)
    labels = {name: number for number, name in enumerate(CLASSES)}
    annotations.save_yolo_v5(folder / "labels", label_to_id=labels)
    (folder / "data.yaml").write_text(f"train: images\nnames: {list(CLASSES)}\n")
    return folder


def objects_of(examples):
    """Returns image id -> float [n, 5], sorted boxes and labels."""
    return {
        record.image_id: np.array(
            sorted(np.column_stack([record.boxes, record.labels]).tolist())
        )
        for record in examples.records
    }


@pytest.mark.parametrize("reader", ["coco", "yolo"])
def test_bccd_converted_is_bccd(converted, reader):
    """globox keeps the corners as they are written, which counts from 0."""
    expected, counts = {}, 0
    for split in ("trainval", "test"):
        voc = read_data("voc", BCCD, split=split, class_names=CLASSES, one_based=False)
        expected |= objects_of(voc)
        counts += voc.problems.counts().get("zero_area_box", 0)
    examples = read_data(reader, converted, split="train", class_names=CLASSES)
    assert examples.problems.counts() == {"zero_area_box": counts, "outside_link": 1}
    found = objects_of(examples)
    assert found.keys() == expected.keys() and len(found) == 364
    for image_id, own in found.items():
        np.testing.assert_allclose(own, expected[image_id], atol=5e-3)
