"""A training of two workers, one of which dies."""

import json
import sys
import time

import h5py
import numpy as np
import pytest

from benchmarks.two_workers import end_of, start_two
from tests.helpers.paths import QUICKSTART
from tf_frcnn.config import load_config
from tf_frcnn.runs.training import train

pytestmark = pytest.mark.slow

SETTINGS = (
    *("data.num_train=6", "data.num_validation=2", "data.num_test=1"),
    *("images.short_side=96", "images.long_side=128", "images.canvases=[[128, 128]]"),
    *("data.batch_size=4", "train.epochs=2", "roi.head_units=16", "rpn.channels=16"),
    *("proposals.train_pre_nms=200", "proposals.train_post_nms=50"),
    *("train.learning_rate=0.002", "train.save_minutes=0.000001"),
)


def command(output, *more):
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    settings += ["--set", "train.strategy=multi_worker", "--output", output, *more]
    settings.append("--no-export")
    return [sys.executable, "-m", "tf_frcnn", "train", QUICKSTART, *settings]


def steps_of(output):
    state = output / "state.json"
    if not state.is_file():
        return 0
    return json.loads(state.read_text())["checkpoints"][0]["step"]


def weights_of(output):
    """Returns the arrays of the last checkpoint."""
    state = json.loads((output / "state.json").read_text())
    arrays = {}
    with h5py.File(output / state["checkpoints"][0]["file"]) as file:
        file.visititems(
            lambda name, item: (
                arrays.update({name: item[()]}) if hasattr(item, "shape") else None
            )
        )
    return arrays


def test_a_killed_worker_is_started_again_with_the_result_of_one_device(tmp_path):
    train(load_config(QUICKSTART, SETTINGS), tmp_path / "single")
    chief, other = start_two(command(tmp_path / "run"))
    until = time.monotonic() + 400
    while steps_of(tmp_path / "run") < 1 and time.monotonic() < until:
        time.sleep(0.05)
    other.kill()
    status, output = end_of(chief)
    assert status == 2 and "Start all workers again with --resume" in output
    assert 1 <= steps_of(tmp_path / "run") < 4

    again = command(tmp_path / "run", "--resume")
    ends = [end_of(worker) for worker in start_two(again)]
    assert [status for status, _ in ends] == [0, 0], ends
    assert "Metrics" in ends[0][1] and "Metrics" not in ends[1][1]
    expected, own = weights_of(tmp_path / "single"), weights_of(tmp_path / "run")
    assert expected.keys() == own.keys() and len(own) > 20
    for name, values in expected.items():
        np.testing.assert_allclose(own[name], values, atol=2e-6, err_msg=name)
