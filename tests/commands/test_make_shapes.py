import numpy as np
import pytest

from tests.helpers.random_run import config_in
from tf_frcnn.assembly import build_examples, build_training_batches
from tf_frcnn.cli import main
from tf_frcnn.commands.make_shapes import write_shapes
from tf_frcnn.data import SHAPE_CLASSES, make_shapes, read_voc


def test_made_shapes_are_read_back(tmp_path, capsys):
    counts = ["--train", "3", "--validation", "2", "--test", "1", "--seed", "7"]
    assert main(["make-shapes", str(tmp_path), *counts]) == 0
    assert f"{tmp_path}: validation, 2 images." in capsys.readouterr().out
    read = read_voc(tmp_path, "train", class_names=SHAPE_CLASSES)
    made = make_shapes(3, seed=7)
    assert len(read.records) == 3
    for own, drawn in zip(read.records, made.records, strict=True):
        np.testing.assert_array_equal(own.boxes, drawn.boxes)
        np.testing.assert_array_equal(own.labels, drawn.labels)
    everything = read_voc(tmp_path, "train+validation+test", class_names=SHAPE_CLASSES)
    assert len(everything.records) == 6


@pytest.mark.slow
def test_the_shapes_as_a_folder_train_like_the_shapes_themselves(tmp_path):
    write_shapes(tmp_path, {"train": 4, "validation": 2, "test": 3}, seed=5)
    drawn = config_in(tmp_path, "seed=5")
    read = config_in(
        tmp_path,
        *("seed=5", "data.reader=voc", f"data.directory={tmp_path}"),
        *("data.train_split=train", "data.validation_split=validation"),
        f"data.class_names=[{', '.join(SHAPE_CLASSES)}]",
    )
    for split in ("train", "validation", "test"):
        sets = [build_examples(config, split) for config in (drawn, read)]
        assert sets[0].class_names == sets[1].class_names
        kinds = {row.kind for row in sets[1].problems.rows}
        assert kinds <= {"empty_annotation"}
        for made, found in zip(*(s.records for s in sets), strict=True):
            assert made.image_id == found.image_id
            np.testing.assert_array_equal(found.boxes, made.boxes)
            np.testing.assert_array_equal(found.labels, made.labels)
    batches = [
        next(iter(build_training_batches(config, build_examples(config, "train"))[0]))
        for config in (drawn, read)
    ]
    for name, values in batches[0].items():
        np.testing.assert_array_equal(batches[1][name], values)
