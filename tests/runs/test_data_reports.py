"""What a run prints and keeps of its data."""

import json

import pytest

from tests.helpers.paths import QUICKSTART
from tf_frcnn.assembly import build_training_batches
from tf_frcnn.config import load_config
from tf_frcnn.data import SHAPE_CLASSES, make_shapes
from tf_frcnn.data.checks.problems import Problem
from tf_frcnn.runs.data_reports import report_data, report_replaced, report_sampling

LOST = [
    Problem("unreadable_image", f"{name}.png", "in training: gone", "replace")
    for name in "ab"
]


@pytest.fixture
def examples():
    return make_shapes(6, seed=0)


def kept_in(folder):
    (rows,) = json.loads((folder / "problems.json").read_text()).values()
    return [Problem(**row) for row in rows]


def test_what_is_wrong_with_the_data_is_printed_and_kept(tmp_path, capsys, examples):
    examples.problems.add("unreadable_image", "c.png", "cut off")
    report_data(tmp_path, [examples])
    assert [problem.file for problem in kept_in(tmp_path)] == ["c.png"]
    printed = capsys.readouterr().out
    assert f"{examples.name}: 6 images" in printed and "cut off" in printed


def test_images_that_were_replaced_are_printed_and_kept(tmp_path, capsys, examples):
    report_data(tmp_path, [examples])
    capsys.readouterr()
    report_replaced(tmp_path, examples)
    assert not capsys.readouterr().out and kept_in(tmp_path) == []
    examples.problems.rows += LOST
    for _ in range(2):
        report_replaced(tmp_path, examples)
        assert kept_in(tmp_path) == LOST
    printed = " ".join(capsys.readouterr().out.split())
    assert printed.startswith(
        "Images that could no longer be read during training: 2 (a.png, b.png)."
    )


def test_a_resumed_run_keeps_what_was_replaced_before(tmp_path, examples):
    examples.problems.add("unreadable_image", "c.png", "cut off")
    report_data(tmp_path, [examples])
    examples.problems.rows += LOST[:1]
    report_replaced(tmp_path, examples)
    again = make_shapes(6, seed=0)
    report_data(tmp_path, [again])
    assert kept_in(tmp_path) == LOST[:1]
    again.problems.rows += LOST
    report_replaced(tmp_path, again)
    assert kept_in(tmp_path) == LOST


def test_what_is_repeated_is_printed_and_kept(tmp_path, capsys, examples):
    report_sampling(tmp_path, load_config(QUICKSTART, []), examples)
    assert not capsys.readouterr().out and not [*tmp_path.iterdir()]
    config = load_config(
        QUICKSTART, ["data.repeat_below=1.0", "data.max_negatives=0.1"]
    )
    report_sampling(tmp_path, config, examples)
    kept = json.loads((tmp_path / "sampling.json").read_text())
    batches = build_training_batches(config, examples)
    assert kept["images"] == 6 and kept["images_per_epoch"] == batches.num_images
    assert kept["class_factors"].keys() <= {*SHAPE_CLASSES}
    printed = " ".join(capsys.readouterr().out.split())
    assert printed.startswith(f"An epoch has {batches.num_images} images, drawn from 6")
