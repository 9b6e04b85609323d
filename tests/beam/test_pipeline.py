import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.command_line import failure_of
from tests.helpers.paths import QUICKSTART
from tests.helpers.remote_files import address_of
from tf_frcnn.assembly import Splits
from tf_frcnn.beam import detecting
from tf_frcnn.beam.inputs import Images
from tf_frcnn.beam.outputs import Lists
from tf_frcnn.beam.pipeline import predict_on_beam
from tf_frcnn.cli import main
from tf_frcnn.commands import predict as predicting
from tf_frcnn.config import load_config
from tf_frcnn.data import DataError
from tf_frcnn.data.decoding.resizing import Resizing
from tf_frcnn.runs.evaluation import evaluate_run
from tf_frcnn.runs.settings_files import run_config

SIDES = ("ymin", "xmin", "ymax", "xmax")


def entries_of(folder):
    lines = [path.read_text() for path in folder.glob("detections*.jsonl")]
    entries = [json.loads(line) for line in "".join(lines).splitlines()]
    return sorted(entries, key=lambda entry: entry["file"])


def require_same(entries, expected):
    """Compares entries, but for the last decimals: the graphs are not the same."""
    assert [e["file"] for e in entries] == [e["file"] for e in expected]
    for own, other in zip(entries, expected, strict=True):
        assert own.keys() == other.keys()
        found, truth = (e.get("detections", []) for e in (own, other))
        assert [d["class"] for d in found] == [d["class"] for d in truth]
        for sides, off in ((("score",), 2e-5), (SIDES, 0.005)):
            columns = ([[d[s] for s in sides] for d in e] for e in (found, truth))
            np.testing.assert_allclose(*columns, atol=off)
        for name in own.keys() - {"detections"}:
            assert own[name] == other[name]


def flat(tree):
    """Returns the numbers of a tree of dicts, NaN for None, in a row."""
    if isinstance(tree, dict):
        return np.concatenate([flat(tree[name]) for name in sorted(tree)])
    return np.array([tree], float)


def predict(*words):
    return main(["predict", *map(str, words)])


@pytest.fixture(scope="module")
def streamed(run_folder, photos, tmp_path_factory):
    """The entries of the command without a pipeline."""
    folder = tmp_path_factory.mktemp("streamed")
    words = [photos, "--output", folder, "--no-pictures", "--min-score", 0.1]
    assert predict(run_folder, *words) == 0
    return entries_of(folder)


@pytest.fixture
def sizes_alone(monkeypatch):
    """Gives pipelines a model that can resize, and detects nothing."""

    class Model:
        resizing = Resizing((96,), 128, ((128, 128),))
        settings = load_config(QUICKSTART)
        class_names = ()

    monkeypatch.setattr(detecting, "ExportedDetector", lambda version: Model())


@pytest.mark.slow
def test_a_pipeline_lists_what_the_command_alone_does(
    run_folder, photos, streamed, tmp_path, capsys
):
    (tmp_path / "list").write_text("".join(f"{p}\n" for p in photos.iterdir()))
    words = ["--runner", "DirectRunner", "--min-score", 0.1, "--output", tmp_path]
    assert predict(run_folder, "--files-from", tmp_path / "list", *words) == 0
    require_same(entries_of(tmp_path), streamed)
    assert sum(len(entry.get("detections", ())) for entry in streamed) > 10
    assert [e["file"] for e in streamed if "error" in e] == [f"{photos}/cut.png"]
    assert "7 images, 1 of them unreadable, with " in capsys.readouterr().out
    line = failure_of(capsys, "predict", run_folder, photos, *words)
    assert "detections-00000-of-00001.jsonl exists already" in line
    # The same from another place, and one by one.
    words[-1] = address_of(tmp_path / "far")
    model, images = map(address_of, (run_folder / "export" / "1", photos))
    words += ["--batch-size", 1, "--beam", "direct_num_workers=1"]
    assert predict(model, f"{images}/*", *words) == 0
    far = entries_of(tmp_path / "far")
    own = [e | {"file": e["file"].removeprefix("store://")} for e in far]
    require_same(own, streamed)


@pytest.mark.slow
def test_lists_are_evaluated_as_the_run_itself_is(run_folder, tmp_path, capsys):
    settings = ["evaluation.iou=0.1"]
    examples = Splits(load_config(run_config(run_folder))).read("test")
    for row, data in examples.stream().as_numpy_iterator():
        (tmp_path / Path(examples.records[row].source).name).write_bytes(data)
    words = [tmp_path, "--output", tmp_path / "out", "--min-score", 0]
    words += ["--runner", "DirectRunner", "--list-format", "parquet"]
    assert predict(run_folder, *words) == 0
    expected = evaluate_run(run_folder, "test", overrides=settings, coco=True)
    lists = str(tmp_path / "out" / "*.parquet")
    words = ["evaluate", run_folder, "--coco", "--set", *settings]
    capsys.readouterr()
    assert main([*map(str, words), "--detections", lists]) == 0
    path = Path(capsys.readouterr().out.replace("\n", "").rpartition("detections: ")[2])
    metrics = json.loads(path.read_text())
    assert metrics.pop("detections") == [lists]
    for name in ("mAP", "classes"):
        own, other = (flat(m["voc"][name]) for m in (metrics, expected))
        np.testing.assert_allclose(own, other, atol=1e-4)
    assert metrics["coco"]["ap50"] == pytest.approx(expected["coco"]["ap50"], abs=1e-4)
    assert metrics["settings"] == settings
    assert metrics["voc"]["mAP"]["area"] > 0


def test_images_none_of_which_is_readable_are_an_error(sizes_alone, photos, tmp_path):
    # No model is needed to find that out, but for how images are resized.
    lists = Lists(str(tmp_path))
    with pytest.raises(DataError, match="None of the 1 images is readable"):
        predict_on_beam("model", Images([str(photos / "cut.png")]), lists)
    (entry,) = entries_of(tmp_path)
    assert "damaged" in entry["error"]


def test_nothing_is_exported_for_a_pipeline_that_cannot_start(
    photos, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(predicting, "_exported", lambda _: pytest.fail("exported"))
    (tmp_path / "detections-00000-of-00001.jsonl").touch()
    words = ["predict", "run", photos, "--runner", "DirectRunner", "--output", tmp_path]
    assert "of-00001.jsonl exists already" in failure_of(capsys, *words)
    words += ["--overwrite", "--beam", "workers=2"]
    assert failure_of(capsys, *words).startswith("--beam workers=2: DirectRunner of")
    assert (tmp_path / "detections-00000-of-00001.jsonl").exists()


def test_a_remote_pattern_without_images_is_an_error(sizes_alone, photos, tmp_path):
    images = Images([address_of(photos / "*.bmp")])
    with pytest.raises(DataError, match="No image found"):
        predict_on_beam("model", images, Lists(str(tmp_path)))


def test_without_the_packages_the_extra_is_named(
    run_folder, photos, capsys, monkeypatch
):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    words = ["predict", run_folder, photos, "--runner", "DirectRunner"]
    line = failure_of(capsys, *words)
    assert line.startswith("--runner needs the package apache_beam")
    assert 'pip install "tf-frcnn[beam]"' in line
