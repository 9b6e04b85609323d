import pytest

from tf_frcnn.data import DATASETS, DataError
from tf_frcnn.data.readers.splits import SPLIT_LISTS, voc_splits


@pytest.mark.parametrize("reader", ["voc", "coco", "yolo", "csv", "tfrecord"])
def test_every_form_lists_its_splits(reader, in_every_form, tmp_path):
    root = in_every_form(reader, tmp_path / "data")
    splits = SPLIT_LISTS[reader](root)
    assert splits == ["train"]
    assert len(DATASETS[reader](root, splits[0]).records) == 1
    with pytest.raises(DataError, match="nowhere does not exist"):
        SPLIT_LISTS[reader](tmp_path / "nowhere")


def test_lists_of_one_class_are_no_splits(voc, xml_of, tmp_path):
    for name in ("train", "val", "trainval", "cat_train", "cat_val", "cat_trainval"):
        voc.split(name, "a")
    assert voc_splits(voc.root) == ["train", "trainval", "val"]


def test_a_voc_folder_without_lists_is_one_split(voc):
    (voc.root / "ImageSets" / "Main").rmdir()
    (voc.root / "ImageSets").rmdir()
    assert voc_splits(voc.root) == [""]


def test_all_readers_but_the_joined_years_list_their_splits():
    assert {*DATASETS} - {*SPLIT_LISTS} == {"tfds_voc"}
    assert SPLIT_LISTS["shapes"](None) == ["train", "validation", "test"]
