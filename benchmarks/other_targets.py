"""Compares a run in TensorFlow with its ONNX and TFLite files in their runtimes.

    pip install -e ".[onnx,tflite]" openvino
    python benchmarks/other_targets.py RUN [RUN ...] [--pictures FOLDER] [--threads 2]

Prints a Markdown table per run: the size of the file, the median time of a picture, and
the largest differences from the detections of the Python model over the pictures. The
runtimes take turns, picture by picture, so that other work on the machine meets all.
"""

import argparse
import os
import platform
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from tf_frcnn.build import build_resizing
from tf_frcnn.data import evaluation_batches
from tf_frcnn.data.canvases import plan_records
from tf_frcnn.data.images import find_images, read_images
from tf_frcnn.export.fixed_canvas import (
    canvas_function,
    canvas_inputs,
    default_canvas,
)
from tf_frcnn.export.runtimes import RUNTIMES
from tf_frcnn.inference import load_run
from tf_frcnn.training import SAMPLES_FOLDER

INPUTS = ("images", "image_sizes", "scales", "file_sizes")
PACKAGES = ("tensorflow", "onnxruntime", "ai-edge-litert", "openvino")


def batches_of(run, folder, count):
    """Returns the canvas and the batches of as many pictures that it holds."""
    resizing = build_resizing(run.config)
    canvas = default_canvas(resizing)
    pictures = read_images(find_images([folder]), run.model.class_names)
    sizes = plan_records(pictures.records, resizing).sizes[:, 0]
    rows = [row for row, size in enumerate(sizes) if (size <= canvas).all()][:count]
    resizing = resizing._replace(canvases=(canvas,))
    batches = evaluation_batches(pictures.subset(rows), resizing, batch_size=1)
    return canvas, [
        {name: batch[name] for name in INPUTS} for batch in batches.as_numpy_iterator()
    ]


def tensorflow_of(model, canvas):
    """Returns the detector as TensorFlow runs it, RoIs pooled by CropAndResize."""

    def detect(images, image_sizes, scales, file_sizes):
        batch = {"images": images, "image_sizes": image_sizes, "scales": scales}
        return model(batch | {"file_sizes": file_sizes})

    graph = tf.function(detect, input_signature=canvas_inputs(canvas), autograph=False)

    def run(inputs):
        found = {name: tensor.numpy() for name, tensor in graph(**inputs).items()}
        sides = np.tile(inputs["file_sizes"], 2)[:, np.newaxis]
        return {
            "detection_boxes": found["boxes"] / sides,
            "detection_scores": found["scores"],
            "detection_classes": np.where(found["valid"], found["labels"] + 1, 0),
            "num_detections": found["valid"].sum(1),
        }

    return run


def onnx_of(path, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        path, options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return lambda inputs: dict(zip(names, session.run(names, inputs), strict=True))


def litert_of(path, threads):
    interpreter = Interpreter(str(path), num_threads=threads)
    return lambda inputs: interpreter.get_signature_runner()(**inputs)


def openvino_of(path, threads):
    import openvino

    core = openvino.Core()
    # By default it computes in bfloat16 where the processor can.
    settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(core.read_model(path), "CPU", settings)
    names = [output.any_name for output in compiled.outputs]

    def run(inputs):
        outputs = compiled(inputs)
        return {name: outputs[name] for name in names}

    return run


def differences(own, output, file_sizes):
    """Returns the largest difference of a corner in pixels, and of a score."""
    count = int(own["num_detections"][0])
    if int(output["num_detections"][0]) != count or not np.array_equal(
        own["detection_classes"], output["detection_classes"]
    ):
        return np.inf, np.inf
    sides = np.tile(file_sizes, 2)[:, np.newaxis]
    boxes = np.abs(own["detection_boxes"] - output["detection_boxes"]) * sides
    scores = np.abs(own["detection_scores"] - output["detection_scores"])
    return boxes.max(), scores.max()


def measure(runs, batches, rounds):
    """Returns the seconds and the differences of each, from the first of them."""
    seconds, worst = {name: [] for name in runs}, {name: (0.0, 0.0) for name in runs}
    for number in range(rounds + 1):
        for batch in batches:
            outputs = {}
            for name, run in runs.items():
                start = time.perf_counter()
                outputs[name] = run(batch)
                seconds[name] += [time.perf_counter() - start] * (number > 0)
            own = next(iter(outputs.values()))
            for name, output in outputs.items():
                new = differences(own, output, batch["file_sizes"])
                worst[name] = tuple(map(max, worst[name], new))
    return seconds, worst


def compare(folder, pictures, threads, rounds):
    run = load_run(folder, ["train.precision=float32"])
    canvas, batches = batches_of(run, pictures or folder / SAMPLES_FOLDER, 8)
    function, inputs = canvas_function(run.model), canvas_inputs(canvas)
    with tempfile.TemporaryDirectory() as temporary:
        paths = {}
        for name, runtime in RUNTIMES.items():
            paths[name] = Path(temporary) / runtime.file
            runtime.write(function, inputs, paths[name])
        of_onnx = paths["onnx"], threads
        runs = {
            "TensorFlow": tensorflow_of(run.model, canvas),
            "ONNX Runtime": onnx_of(*of_onnx),
            "OpenVINO, from ONNX": openvino_of(*of_onnx),
            "LiteRT": litert_of(paths["tflite"], threads),
        }
        megabytes = {n: path.stat().st_size / 1e6 for n, path in paths.items()}
        seconds, worst = measure(runs, batches, rounds)
    print(f"\n{folder}: canvas {canvas[0]}x{canvas[1]}, {len(batches)} pictures\n")
    print("| runtime | file | time | largest box difference | of a score |")
    print("|---|---|---|---|---|")
    for name in runs:
        file = "tflite" if name == "LiteRT" else "onnx"
        size = "" if name == "TensorFlow" else f"{megabytes[file]:.1f} MB"
        time_ms = 1e3 * np.median(seconds[name])
        box, score = worst[name]
        print(f"| {name} | {size} | {time_ms:.1f} ms | {box:.2g} px | {score:.1g} |")


def processor():
    """Returns what the processor calls itself."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.split(": ")[1] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--pictures", type=Path, help="(the run's samples)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    print(
        f"{processor()}, {os.cpu_count()} cores, {options.threads} threads; {versions}"
    )
    for folder in options.runs:
        compare(folder, options.pictures, options.threads, options.rounds)


if __name__ == "__main__":
    main()
