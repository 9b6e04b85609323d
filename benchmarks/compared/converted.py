"""Inference of a recipe in another runtime, one image each; see `compare.py`."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import multiprocessing
import sys
import tempfile
from pathlib import Path

from compared.answering import NUM_CLASSES, answer, arguments
from compared.ours import RECIPES, built
from gpu import made_up
from other_targets import openvino_of

from tf_frcnn.export.fixed_canvas import canvas_function, canvas_inputs
from tf_frcnn.export.runtimes import RUNTIMES

LOADS = {"onnxruntime": RUNTIMES["onnx"].load, "openvino": openvino_of}


def main():
    load = LOADS[sys.argv.pop(1)]
    asked = arguments(RECIPES)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        # In a process of its own, whose memory it leaves.
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            pool.apply(write, (asked, path))
        run, inputs = load(path, os.cpu_count()), inputs_of(asked)
    answer(lambda: run(inputs))


def write(asked, path):
    """Writes the detector as an ONNX file."""
    model, _ = built(asked)
    weights = "int8" if asked.precision == "int8" else "float32"
    RUNTIMES["onnx"].writers[weights](
        canvas_function(model), canvas_inputs(asked.canvas), path, [inputs_of(asked)]
    )


def inputs_of(asked):
    made = made_up.batch(1, asked.canvas, NUM_CLASSES)
    names = ("images", "image_sizes", "scales", "file_sizes")
    return {name: made[name] for name in names}


if __name__ == "__main__":
    main()
