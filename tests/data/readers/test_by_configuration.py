"""Every reader of files, asked for by a configuration."""

import numpy as np
import pytest

from tf_frcnn.assembly import build_examples, split_names
from tf_frcnn.config import make_config
from tf_frcnn.data import DATASETS, DataError
from tf_frcnn.data.readers import read_data
from tf_frcnn.data.readers.splits import SPLIT_LISTS

FORMS = ("voc", "coco", "yolo", "csv", "tfrecord")


@pytest.mark.parametrize("reader", FORMS)
def test_every_form_holds_the_same_cat(reader, in_every_form, tmp_path, capsys):
    root = in_every_form(reader, tmp_path / "data")
    data = {"reader": reader, "directory": str(root), "train_split": "train"}
    config = make_config({"data": data}, "test")
    read = read_data(reader, root, split="train")
    for examples in (build_examples(config, "train"), read):
        (record,) = examples.records
        np.testing.assert_array_equal(record.boxes, [[10, 20, 30, 60]])
        assert record.image_id == "a" and examples.class_names == ("cat",)
        assert (record.height, record.width) == (40, 80)
        assert examples.problems.rows == []
    assert split_names(config) == ["train"]
    assert capsys.readouterr().out == ""


# VOC's reader has a message of its own.
@pytest.mark.parametrize("reader", FORMS[1:])
def test_a_place_that_does_not_exist_is_said_to_be_none(reader, tmp_path):
    with pytest.raises(DataError, match=r"nowhere does not exist; give"):
        read_data(reader, tmp_path / "nowhere", split="train")


def test_settings_of_readers_come_from_the_configuration(monkeypatch):
    def read(location, split, *, class_names, policy, class_file, data_dir):
        return location, split, class_file, data_dir

    monkeypatch.setitem(DATASETS, "mine", read)
    monkeypatch.setitem(SPLIT_LISTS, "mine", lambda location, *, data_dir: [data_dir])
    data = {"reader": "mine", "directory": "coco/2017", "train_split": "train2017"}
    data |= {"class_file": "map.pbtxt", "data_dir": "prepared"}
    config = make_config({"data": data}, "test")
    found = build_examples(config, "train")
    assert found == ("coco/2017", "train2017", "map.pbtxt", "prepared")
    assert split_names(config) == ["prepared"]


def test_overrides_replace_the_settings_of_a_program():
    settings = {"data": {"reader": "coco", "batch_size": 3}}
    config = make_config(settings, "test", texts=["data.reader=yolo", "seed=5"])
    assert (config.data.reader, config.data.batch_size, config.seed) == ("yolo", 3, 5)
