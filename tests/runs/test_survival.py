import re
import signal
import subprocess
import sys

import pytest

from tests.helpers.paths import QUICKSTART, ROOT

pytestmark = pytest.mark.slow

KILLS = 2
SETTINGS = (
    *("data.num_train=6", "data.num_validation=2", "data.num_test=1"),
    *("images.short_side=96", "images.long_side=128", "images.canvases=[[128, 128]]"),
    *("data.batch_size=2", "train.epochs=1", "roi.head_units=16", "rpn.channels=16"),
)
# Sends a signal to itself within the second step, as a user or a scheduler would.
STOPPED = """
import os, signal, sys
from tf_frcnn.cli import main
from tf_frcnn.runs.checkpoints import Checkpoints

begin = Checkpoints.on_train_batch_begin

def send(self, batch, logs=None):
    begin(self, batch, logs)
    if batch == 1:
        os.kill(os.getpid(), signal.SIGTERM)

Checkpoints.on_train_batch_begin = send
sys.exit(main(sys.argv[1:]))
"""


def test_killed_trainings_end_as_if_they_had_not_been():
    """See the script; here joint trainings alone, killed where it hurts."""
    script = ROOT / "benchmarks" / "kills.py"
    command = [sys.executable, str(script), "--scenario", "joint"]
    command += ["--kills", str(KILLS), "--random", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = re.findall(r"^\| (\w+) \| (\d+) \| 0 \| 0 \|$", done.stdout, re.MULTILINE)
    assert rows == [("joint", str(KILLS))]


def test_a_signal_saves_and_says_how_to_go_on(tmp_path):
    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    own = ["train", str(QUICKSTART), "--output", str(tmp_path / "run"), *settings]
    command = [sys.executable, "-c", STOPPED, *own]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 128 + signal.SIGTERM, done.stderr
    file = tmp_path / "run" / "weights" / "step_00000002.weights.h5"
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"tf-frcnn: Stopped; the last checkpoint is {file}. Go on ")
    assert "Traceback" not in done.stderr and file.is_file()


def test_faults_cost_nothing():
    """See the script; here one kind, which a resume mends."""
    script = ROOT / "benchmarks" / "faults.py"
    only = ["--only", "newest checkpoint cut"]
    command = [sys.executable, str(script), "--times", "1", *only]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = re.findall(r"^\| .+ \| 1 \| .+ \| 0 \|$", done.stdout, re.MULTILINE)
    assert len(rows) == 1


def test_predictions_that_were_killed_are_gone_on_with():
    """See the script: no picture is lost, and none is listed twice."""
    script = ROOT / "benchmarks" / "predict_many.py"
    command = [sys.executable, str(script), "--pictures", "300"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "each of the 300 pictures is listed exactly once" in done.stdout
    (kept,) = re.findall(r"Killed with (\d+) pictures listed", done.stdout)
    assert 150 <= int(kept) < 300
