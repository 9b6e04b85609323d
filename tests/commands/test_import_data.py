import json

import numpy as np
import pytest

from tf_frcnn.cli import main
from tf_frcnn.data import DATASETS, make_shapes, write_coco, write_voc


@pytest.fixture
def shapes(tmp_path):
    """A COCO folder of two splits, one with an image that is damaged."""
    root = tmp_path / "shapes"
    write_coco(make_shapes(3, seed=1), root, "train")
    write_coco(make_shapes(2, seed=2), root, "val")
    (root / "images" / "shapes_2_00001.png").write_bytes(b"no image")
    return root


@pytest.mark.parametrize("form", ["voc", "coco"])
def test_all_splits_are_written_and_reported(shapes, tmp_path, capsys, form):
    out = tmp_path / "out"
    assert main(["import", str(shapes), str(out), "--format", form]) == 0
    shown = capsys.readouterr().out
    assert shown.index(f"{shapes}:val:") < shown.index("unreadable_image")
    assert f"{out}: train, 3 images, " in shown and f"{out}: val, 1 images, " in shown
    for split, count in (("train", 3), ("val", 1)):
        found = DATASETS[form](out, split).records
        expected = DATASETS["coco"](shapes, split).records
        assert len(found) == count
        for own, other in zip(found, expected, strict=True):
            assert own.image_id == other.image_id
            np.testing.assert_allclose(own.boxes, other.boxes, atol=1e-3)


def test_splits_and_settings_of_the_reader_may_be_chosen(tmp_path, capsys):
    source, out = tmp_path / "voc", tmp_path / "out"
    write_voc(make_shapes(2, seed=3), source, "train")
    write_voc(make_shapes(2, seed=4), source, "test")
    options = ["--reader", "voc", "--split", "test", "--format", "coco"]
    settings = ["--set", "data.one_based=false"]
    assert main(["import", str(source), str(out), *options, *settings]) == 0
    assert [*(out / "annotations").iterdir()] == [
        out / "annotations/instances_test.json"
    ]
    content = json.loads((out / "annotations" / "instances_test.json").read_text())
    xs = [annotation["bbox"][0] for annotation in content["annotations"]]
    records = make_shapes(2, seed=4).records
    assert xs == [x + 1 for record in records for x in record.boxes[:, 1]]


def test_home_is_expanded(shapes, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main(["import", "~/shapes", "~/out", "--split", "train"]) == 0
    assert (tmp_path / "out" / "ImageSets" / "Main" / "train.txt").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nowhere does not exist in "),
        (
            ["shapes", "--reader", "coca"],
            "data.reader = 'coca' must be one of voc, coco",
        ),
        (
            ["shapes", "--split", "test"],
            "no split 'test'; the splits there are train, v",
        ),
        (["shapes", "--set", "data.spam=1"], "--set: data.spam is not a setting"),
        (["x", "--reader", "tfds_voc"], "reader 'tfds_voc' lists no splits; name them"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    shapes, tmp_path, monkeypatch, capsys, arguments, message
):
    monkeypatch.chdir(tmp_path)
    source, *options = arguments
    assert main(["import", source, "out", *options]) == 2
    shown = capsys.readouterr().err
    assert message in shown and "None" not in shown
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_not_empty_stays_as_it_is(shapes, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").touch()
    assert main(["import", str(shapes), str(tmp_path / "out")]) == 2
    assert "is not an empty folder" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["notes.txt"]
