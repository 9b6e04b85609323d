import json
import re

import pytest

from tf_frcnn.cli import main
from tf_frcnn.data import make_shapes, read_coco, read_voc, write_coco, write_voc


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    """A VOC folder in which nothing serious is wrong."""
    root = tmp_path_factory.mktemp("shapes") / "voc"
    for split, seed in (("train", 1), ("val", 2)):
        write_voc(make_shapes(12, seed=seed), root, split)
    return root


@pytest.fixture
def bad(tmp_path):
    """A COCO folder whose val split has an image of train."""
    root = tmp_path / "coco"
    shapes = make_shapes(12, seed=1)
    write_coco(shapes, root, "train")
    write_coco(shapes.subset([3]), root, "val")
    return root


# With anchors for the small shapes.
FITTING = ["--config", "quickstart"]


def test_the_exit_status_is_0_without_a_serious_finding(shapes, capsys):
    assert main(["doctor", str(shapes), *FITTING]) == 0
    shown = capsys.readouterr().out
    assert "train *" in shown and "Findings: 0 serious" in shown


def test_the_exit_status_is_1_with_one(bad, capsys):
    assert main(["doctor", str(bad), *FITTING]) == 1
    assert "1 of the 1 val images are train images, too" in capsys.readouterr().out


def test_the_exit_status_is_2_where_nothing_can_be_examined(tmp_path, capsys):
    assert main(["doctor", str(tmp_path / "nowhere")]) == 2
    assert "nowhere does not exist" in capsys.readouterr().err
    assert main(["doctor", str(tmp_path), "--fix", str(tmp_path.parent)]) == 2
    assert "is not an empty folder" in capsys.readouterr().err


def test_the_report_is_a_page_and_json(shapes, tmp_path, capsys):
    folder = tmp_path / "a" / "report"
    assert main(["doctor", str(shapes), *FITTING, "--output", str(folder)]) == 0
    assert (folder / "report.html").read_text().startswith("<!doctype html>")
    report = json.loads((folder / "report.json").read_text())
    assert [row["name"] for row in report["splits"]] == ["train", "val"]
    assert report["data"] == str(shapes)
    assert f"Report: {folder / 'report.html'}" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(("form", "read"), [("voc", read_voc), ("coco", read_coco)])
def test_a_mended_copy_is_written_and_reported(bad, tmp_path, capsys, form, read):
    out = tmp_path / "out"
    options = [*FITTING, "--fix", str(out), "--format", form]
    assert main(["doctor", str(bad), *options]) == 1
    shown = capsys.readouterr().out
    assert "is left out of train: it is in val." in shown
    assert f"Mended copy: {out}" in shown
    assert len(read(out, "train").records) == 11 and len(read(out, "val").records) == 1
    assert main(["doctor", str(out), *FITTING]) == 0


def test_splits_reader_and_settings_may_be_chosen(shapes, capsys):
    options = ["--reader", "voc", "--split", "val", "--set", "images.short_side=100"]
    main(["doctor", str(shapes), *options])
    shown = capsys.readouterr().out
    assert "val *" in shown and "train " not in shown.replace("to train on", "")
    assert "side 100" in shown
    assert main(["doctor", str(shapes), "--split", "spam"]) == 2
    assert "spam" in capsys.readouterr().err


def test_a_class_that_is_not_in_the_list_is_found_and_stops_nothing(shapes, capsys):
    names = "--set=data.class_names=[ellipse]"
    assert main(["doctor", str(shapes), *FITTING, names]) == 1
    assert "serious: unknown_class" in capsys.readouterr().out


def test_the_faults_that_a_configuration_stops_at_are_found(shapes, tmp_path, capsys):
    config = tmp_path / "strict.yaml"
    policy = "{zero_area_box: raise, missing_annotation: keep}"
    config.write_text(f"base: quickstart\ndata: {{policy: {policy}}}\n")
    out = tmp_path / "copy"
    assert main(["import", str(shapes), str(out), "--split", "train"]) == 0
    first, second = sorted((out / "Annotations").iterdir())[:2]
    text = re.sub("<ymin>.*?<", "<ymin>9<", first.read_text())
    first.write_text(re.sub("<ymax>.*?<", "<ymax>9<", text))
    second.unlink()
    main(["doctor", str(out), "--config", str(config)])
    shown = capsys.readouterr().out
    assert "warning: zero_area_box" in shown
    assert "missing_annotation" not in shown and "12 │        0" in shown


def test_a_split_without_an_image_is_a_finding(shapes, tmp_path, capsys):
    (shapes / "ImageSets" / "Main" / "test.txt").write_text("nothing\n")
    try:
        assert main(["doctor", str(shapes), *FITTING]) == 1
        shown = capsys.readouterr().out
        assert "serious: test: " in shown and "has no image that can be used" in shown
        assert main(["doctor", str(shapes), "--split", "test"]) == 2
    finally:
        (shapes / "ImageSets" / "Main" / "test.txt").unlink()
