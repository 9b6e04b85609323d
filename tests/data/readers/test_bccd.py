"""The blood cell data set BCCD, a VOC folder made by hand with two slips in it."""

import numpy as np
import pytest

from tests.helpers.paths import SHARED
from tf_frcnn.data.readers.voc import read_voc

BCCD = SHARED / "data" / "bccd"

pytestmark = pytest.mark.skipif(
    not BCCD.is_dir(),
    reason=f"BCCD is not in {BCCD}; set TF_FRCNN_SHARED to the folder of data/bccd",
)


def test_trainval_has_292_images_and_two_boxes_without_area():
    examples = read_voc(BCCD, "trainval")
    assert len(examples.records) == 292
    assert examples.class_names == ("Platelets", "RBC", "WBC")
    assert examples.problems.counts() == {"zero_area_box": 2}
    assert examples.problems.files("zero_area_box") == [
        "Annotations/BloodImage_00338.xml",
        "Annotations/BloodImage_00343.xml",
    ]


def test_the_test_split_has_72_sound_images():
    examples = read_voc(BCCD, "test")
    assert len(examples.records) == 72
    assert examples.problems.rows == []


def test_the_first_white_cell_lies_where_its_annotation_says():
    record = read_voc(BCCD, "trainval").records[0]
    assert record.image_id == "BloodImage_00000"
    np.testing.assert_array_equal(record.boxes[0], [176, 259, 376, 491])
    assert record.labels[0] == 2
