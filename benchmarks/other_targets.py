"""Compares a run in TensorFlow with its ONNX and TFLite files in their runtimes.

    pip install -e ".[onnx,tflite]" openvino
    python benchmarks/other_targets.py RUN [RUN ...] [--images FOLDER] [--threads 2]

Prints a Markdown table per run: the size of the file, the median time of an image, and
the largest differences from the detections of the Python model over the images; if they
exceed the limits of an export, it ends with an error. The runtimes take turns,
image by image, so that other work on the machine affects all.
"""

import argparse
import os
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from machine import machine

from tf_frcnn.assembly import build_resizing
from tf_frcnn.data.readers.images import find_images, read_images
from tf_frcnn.export.converted import held_samples
from tf_frcnn.export.fixed_canvas import (
    canvas_function,
    canvas_inputs,
    default_canvas,
)
from tf_frcnn.export.runtimes import RUNTIMES
from tf_frcnn.export.sample_requests import sample_requests
from tf_frcnn.export.signatures import Signatures
from tf_frcnn.export.verification import Original
from tf_frcnn.runs.inference import load_run
from tf_frcnn.runs.training import SAMPLES_FOLDER

PACKAGES = ("tensorflow", "onnxruntime", "ai-edge-litert", "openvino")


def tensorflow_of(model, resizing, canvas):
    """Returns the detector as TensorFlow runs it, RoIs pooled by CropAndResize."""
    detect = Signatures(model, resizing, 0).of_canvases
    graph = tf.function(detect, input_signature=canvas_inputs(canvas), autograph=False)
    return lambda inputs: {n: found.numpy() for n, found in graph(**inputs).items()}


def openvino_of(path, threads):
    import openvino

    core = openvino.Core()
    # By default OpenVINO computes in bfloat16 where the processor can.
    settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(core.read_model(path), "CPU", settings)
    names = [output.any_name for output in compiled.outputs]

    def run(inputs):
        outputs = compiled(inputs)
        return {name: outputs[name] for name in names}

    return run


def measure(runs, samples, resizing, model, rounds):
    """Returns the seconds of each, and its largest differences from the model."""
    seconds, worst = {name: [] for name in runs}, {name: (0.0, 0.0) for name in runs}
    original = Original(model, resizing, samples)
    requests = sample_requests(samples, resizing)
    for number in range(rounds + 1):
        for row, inputs in requests:
            for name, run in runs.items():
                start = time.perf_counter()
                output = run(inputs["preprocessed"])
                seconds[name] += [time.perf_counter() - start] * (number > 0)
                new = original.compare(row, output, name)
                worst[name] = tuple(map(max, worst[name], new))
    return seconds, worst


def print_table(folder, images, threads, rounds):
    run = load_run(folder, ["train.precision=float32"])
    model, resizing = run.model, build_resizing(run.config.images)
    canvas = default_canvas(resizing)
    images = find_images([images or folder / SAMPLES_FOLDER])
    samples = held_samples(read_images(images, model.class_names), resizing, canvas)
    samples = samples.subset(range(min(8, len(samples.records))))
    resizing = resizing._replace(canvases=(canvas,))
    function, inputs = canvas_function(model), canvas_inputs(canvas)
    with tempfile.TemporaryDirectory() as temporary:
        paths = {n: Path(temporary) / r.file for n, r in RUNTIMES.items()}
        for name, runtime in RUNTIMES.items():
            runtime.write(function, inputs, paths[name])
        runs = {
            "TensorFlow": tensorflow_of(model, resizing, canvas),
            "ONNX Runtime": RUNTIMES["onnx"].load(paths["onnx"], threads),
            "OpenVINO, from ONNX": openvino_of(paths["onnx"], threads),
            "LiteRT": RUNTIMES["tflite"].load(paths["tflite"], threads),
        }
        megabytes = {n: path.stat().st_size / 1e6 for n, path in paths.items()}
        seconds, worst = measure(runs, samples, resizing, model, rounds)
    print(
        f"\n{folder}: canvas {canvas[0]}x{canvas[1]}, {len(samples.records)} images\n"
    )
    print("| runtime | file | time | largest box difference | of a score |")
    print("|---|---|---|---|---|")
    for name in runs:
        file = "tflite" if name == "LiteRT" else "onnx"
        size = "" if name == "TensorFlow" else f"{megabytes[file]:.1f} MB"
        time_ms = 1e3 * np.median(seconds[name])
        box, score = worst[name]
        print(f"| {name} | {size} | {time_ms:.1f} ms | {box:.2g} px | {score:.1g} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--images", type=Path, help="(the run's samples)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    print(f"{machine()}, {options.threads} threads; {versions}")
    for folder in options.runs:
        print_table(folder, options.images, options.threads, options.rounds)


if __name__ == "__main__":
    main()
