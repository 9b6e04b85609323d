"""Inference of a recipe in another runtime, one image each; see `compare.py`."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

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
    model, _ = built(asked)
    made = made_up.batch(1, asked.canvas, NUM_CLASSES)
    names = ("images", "image_sizes", "scales", "file_sizes")
    inputs = {name: made[name] for name in names}
    weights = "int8" if asked.precision == "int8" else "float32"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        write = RUNTIMES["onnx"].writers[weights]
        write(canvas_function(model), canvas_inputs(asked.canvas), path, [inputs])
        run = load(path, os.cpu_count())
    del model
    answer(lambda: run(inputs))


if __name__ == "__main__":
    main()
