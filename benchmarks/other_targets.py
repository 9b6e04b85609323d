"""Compares a run in TensorFlow with its ONNX and TFLite files in their runtimes.

    pip install -e ".[onnx,tflite]" openvino
    python benchmarks/other_targets.py RUN [RUN ...] [--images FOLDER] [--threads 2]
        [--judge 72] [--calibrate FOLDER]

Prints a Markdown table per run: the size of the file, the median time of an image, and
the largest differences from the detections of the Python model over the images; where
these exceed the limits of an export, those of files with float32 weights, it ends with
an error. `--judge` adds the mAP on the first images of the run's test data, by which
int8 and float16 weights are judged. The runtimes take turns, image by image, so that
other work on the machine affects all.
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

from tf_frcnn.assembly import build_examples, build_resizing
from tf_frcnn.data.readers.images import find_images, read_images
from tf_frcnn.evaluation import DetectedBoxes, evaluate_voc
from tf_frcnn.export.converted import held_samples
from tf_frcnn.export.fixed_canvas import (
    canvas_function,
    canvas_inputs,
    default_canvas,
)
from tf_frcnn.export.runtimes import RUNTIMES
from tf_frcnn.export.sample_requests import sample_requests
from tf_frcnn.export.signatures import Signatures
from tf_frcnn.export.verification import Original, detections_in
from tf_frcnn.models.evaluating import ground_truth_of, metric_settings
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
                if not is_smaller(name):
                    new = original.compare(row, output, name)
                    worst[name] = tuple(map(max, worst[name], new))
    return seconds, worst


def is_smaller(name):
    """Whether a runtime's file has smaller weights than float32."""
    return name.endswith(("int8", "float16"))


def judge(runs, run, resizing, count):
    """Returns the mAP of each on the first images of the run's test data."""
    examples = build_examples(run.config, "test")
    examples = examples.subset(range(min(count, len(examples.records))))
    examples = held_samples(examples, resizing, resizing.canvases[0])
    truth, requests = ground_truth_of(examples), sample_requests(examples, resizing)
    settings, names = metric_settings(run.config), run.model.class_names
    results = {}
    for name, detect in runs.items():
        found = []
        for row, inputs in requests:
            own = detections_in(detect(inputs["preprocessed"]), names, name)
            record = examples.records[row]
            boxes = own.boxes * np.tile([record.height, record.width], 2)
            rows = np.full(len(own.scores), row)
            found.append(own._replace(image_index=rows, boxes=boxes))
        detections = DetectedBoxes(*map(np.concatenate, zip(*found, strict=True)))
        results[name] = evaluate_voc(truth, detections, len(names), **settings).mean
    return results


def print_table(folder, options):
    run = load_run(folder, ["train.precision=float32"])
    model, resizing = run.model, build_resizing(run.config.images)
    canvas = default_canvas(resizing)

    def held(images):
        return held_samples(read_images(images, model.class_names), resizing, canvas)

    samples = held(find_images([options.images or folder / SAMPLES_FOLDER]))
    samples = samples.subset(range(min(8, len(samples.records))))
    known = held(find_images([options.calibrate])) if options.calibrate else samples
    known = known.subset(range(min(64, len(known.records))))
    resizing = resizing._replace(canvases=(canvas,))
    calibration = [r.inputs["preprocessed"] for r in sample_requests(known, resizing)]
    function, inputs = canvas_function(model), canvas_inputs(canvas)
    runs, sizes = {"TensorFlow": tensorflow_of(model, resizing, canvas)}, {}
    names = {"onnx": "ONNX Runtime", "tflite": "LiteRT"}
    with tempfile.TemporaryDirectory() as temporary:
        for file_format, runtime in RUNTIMES.items():
            for weights, write in runtime.writers.items():
                path = Path(temporary) / f"{weights}_{runtime.file}"
                write(function, inputs, path, calibration)
                words = "" if weights == "float32" else f", {weights}"
                new = {names[file_format] + words: runtime.load(path, options.threads)}
                if file_format == "onnx":
                    openvino = openvino_of(path, options.threads)
                    new[f"OpenVINO, from ONNX{words}"] = openvino
                runs |= new
                sizes |= dict.fromkeys(new, path.stat().st_size / 1e6)
        seconds, worst = measure(runs, samples, resizing, model, options.rounds)
        judged = judge(runs, run, resizing, options.judge) if options.judge else {}
    print(
        f"\n{folder}: canvas {canvas[0]}x{canvas[1]}, {len(samples.records)} images\n"
    )
    print("| runtime | file | time | box | score | mAP |\n|---|---|---|---|---|---|")
    for name in runs:
        size = f"{sizes[name]:.1f} MB" if name in sizes else ""
        box, score = worst[name]
        errors = " | " if is_smaller(name) else f"{box:.2g} px | {score:.1g}"
        mean_ap = f"{judged[name]:.3f}" if judged else ""
        time_ms = 1e3 * np.median(seconds[name])
        print(f"| {name} | {size} | {time_ms:.0f} ms | {errors} | {mean_ap} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    parser.add_argument("--images", type=Path, help="(the run's samples)")
    parser.add_argument("--judge", type=int, default=0, metavar="IMAGES")
    parser.add_argument("--calibrate", type=Path, help="images (the run's samples)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    print(f"{machine()}, {options.threads} threads; {versions}")
    for folder in options.runs:
        print_table(folder, options)


if __name__ == "__main__":
    main()
