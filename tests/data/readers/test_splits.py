import pytest

from tf_frcnn.data import DATASETS, DataError, make_shapes, write_voc
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


def test_folders_named_like_splits_are_the_splits_of_a_voc_folder(tmp_path):
    for split in ("train", "valid"):
        write_voc(make_shapes(1, seed=1), tmp_path / "parts", split)
        (tmp_path / "parts" / "JPEGImages").rename(tmp_path / f"{split}_images")
        (tmp_path / "parts" / "Annotations").rename(tmp_path / f"{split}_xml")
    for split in ("train", "valid"):
        folder = tmp_path / "data" / split
        folder.mkdir(parents=True)
        (tmp_path / f"{split}_images").rename(folder / "images")
        (tmp_path / f"{split}_xml").rename(folder / "annotations")
    assert voc_splits(tmp_path / "data") == ["train", "valid"]
    for split in voc_splits(tmp_path / "data"):
        assert len(DATASETS["voc"](tmp_path / "data", split).records) == 1


def test_all_readers_but_the_joined_years_list_their_splits():
    assert {*DATASETS} - {*SPLIT_LISTS} == {"tfds_voc"}
    assert SPLIT_LISTS["shapes"](None) == ["train", "validation", "test"]
