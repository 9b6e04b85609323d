import numpy as np
import pytest

from tf_frcnn.data import DATASETS, SHAPE_CLASSES, DataError, make_shapes, write_voc
from tf_frcnn.data.readers import read_data


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "voc"
    write_voc(make_shapes(3, seed=0), path, "train")
    (path / "JPEGImages" / "shapes_0_00001.png").write_bytes(b"no picture")
    return path


def test_it_reads_by_name_and_prints_what_was_found(folder, capsys):
    examples = read_data("voc", folder, split="train", class_names=SHAPE_CLASSES)
    expected = DATASETS["voc"](str(folder), "train", class_names=SHAPE_CLASSES)
    assert examples.class_names == SHAPE_CLASSES
    assert [r.image_id for r in examples.records] == [
        r.image_id for r in expected.records
    ]
    assert "unreadable_image" in capsys.readouterr().out


def test_settings_of_the_reader_and_the_policy_are_passed_on(folder):
    settings = {"class_names": SHAPE_CLASSES, "split": "train"}
    one, zero = (
        read_data("voc", folder, one_based=one, **settings) for one in (True, False)
    )
    difference = one.records[0].boxes - zero.records[0].boxes
    np.testing.assert_array_equal(difference[0], [-1, -1, 0, 0])
    with pytest.raises(DataError, match="unreadable_image"):
        read_data("voc", folder, policy={"unreadable_image": "raise"}, **settings)


def test_a_reader_may_need_no_location():
    assert len(read_data("shapes", split="test", num_test=2).records) == 2


def test_an_unknown_reader_is_named_with_the_nearest():
    with pytest.raises(DataError, match=r"'tfds_vok' must be .*; did you mean 'tfds_v"):
        read_data("tfds_vok")
