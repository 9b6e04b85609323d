"""The exported model through TensorFlow's own command."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow

COMMAND = Path(sys.executable).with_name("saved_model_cli")


@pytest.fixture(scope="module")
def cli(exported):
    def call(verb, *arguments):
        command = [COMMAND, verb, "--dir", exported, "--tag_set", "serve", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return call


def test_show_lists_the_inputs_and_outputs(cli):
    shown = cli("show", "--signature_def", "serving_default")
    tensors = re.findall(
        r"(in|out)puts\['(\w+)'\].*\n\s+dtype: (\w+)\n\s+shape: (.*)", shown
    )
    found = {name: (side, kind, shape) for side, name, kind, shape in tensors}
    assert found == {
        "image_bytes": ("in", "DT_STRING", "(-1)"),
        "detection_boxes": ("out", "DT_FLOAT", "(-1, 20, 4)"),
        "detection_scores": ("out", "DT_FLOAT", "(-1, 20)"),
        "detection_classes": ("out", "DT_FLOAT", "(-1, 20)"),
        "detection_class_names": ("out", "DT_STRING", "(-1, 20)"),
        "num_detections": ("out", "DT_FLOAT", "(-1)"),
    }


def test_run_gives_the_detections_of_the_model(cli, files, images, expected, tmp_path):
    np.save(tmp_path / "input.npy", np.array(files[:2]))
    cli(
        *("run", "--signature_def", "serving_default", "--outdir", tmp_path),
        *("--inputs", f"image_bytes={tmp_path / 'input.npy'}"),
    )
    for row, own in enumerate(expected[:2]):
        count, record = len(own.scores), images.records[row]
        scores = np.load(tmp_path / "detection_scores.npy")[row]
        boxes = np.load(tmp_path / "detection_boxes.npy")[row]
        np.testing.assert_allclose(scores[:count], own.scores, atol=1e-4)
        sides = np.tile([record.height, record.width], 2)
        np.testing.assert_allclose(boxes[:count] * sides, own.boxes, atol=0.05)
        assert np.load(tmp_path / "num_detections.npy")[row] == count > 0
