"""A detector as a file of ONNX or TensorFlow Lite, checked."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path

from tf_frcnn.data import ExampleSet, Resizing
from tf_frcnn.data.pipeline.canvases import network_sizes
from tf_frcnn.export.agreement import agreement_with
from tf_frcnn.export.fixed_canvas import (
    Canvas,
    canvas_function,
    canvas_inputs,
    default_canvas,
)
from tf_frcnn.export.runtimes import RUNTIMES
from tf_frcnn.export.sample_requests import sample_requests
from tf_frcnn.export.verification import Original
from tf_frcnn.export.versions import add_version, describe
from tf_frcnn.models import FasterRCNN

_INPUTS = {
    "images": "float32 [1, height, width, 3], RGB 0..255: the resized image in the "
    "upper left corner of the canvas, zeros elsewhere",
    "image_sizes": "float32 [1, 2], (height, width) of the resized image in pixels",
    "scales": "float32 [1, 2], pixels of the resized image per pixel of the file, "
    "along y and x",
    "file_sizes": "float32 [1, 2], (height, width) of the file in pixels",
}
_OUTPUTS = {
    "detection_boxes": "float32 [1, detections, 4], (ymin, xmin, ymax, xmax) as shares "
    "of the file's height and width; zeros in padded rows",
    "detection_scores": "float32 [1, detections], by falling score",
    "detection_classes": "float32 [1, detections], the first class is 1; 0 in padded "
    "rows",
    "num_detections": "float32 [1], rows that are not padding; these are first",
}


def convert_model(
    model: FasterRCNN,
    resizing: Resizing,
    directory: str | Path,
    samples: ExampleSet,
    *,
    file_format: str,
    weights: str = "float32",
    calibration: ExampleSet | None = None,
    canvas: Canvas | None = None,
    version: int | None = None,
    info: Mapping | None = None,
) -> Path:
    """Writes a version for another runtime and checks it there.

    The file takes one image on a canvas of one size; model_info.json describes its
    inputs and outputs. A version appears whole or not at all, and none is ever
    overwritten.

    Args:
        model: the detector; it computes in float32.
        resizing: how images are brought to the network's size, with one short side.
        directory: versions are written to directory/1, directory/2, ...
        samples: images to test the file on, as far as the canvas holds them.
        file_format: a key of `RUNTIMES`.
        weights: their type in the file: "float32"; "int8", a quarter of the size; of
            TensorFlow Lite also "float16". Others than float32 need not give the
            model's detections: how many are found again is printed and written to
            model_info.json.
        calibration: images on which ONNX Runtime fixes the ranges of values for int8
            weights; None for the samples.
        canvas: (height, width) in pixels; None for that of `default_canvas`.
        version: the number; None for the one after the highest.
        info: further contents of model_info.json.

    Returns:
        The folder of the version.

    Raises:
        ExportError: the file's detections differ from the model's own; of smaller
            weights, it finds less than half of them.
        FileExistsError: the version exists.
        ImportError: a package for the runtime is not installed.
        ValueError: a setting is not allowed, the canvas holds none of the samples, the
            versions there have another format, or the model does not compute in
            float32.
    """
    resizing.require_one_short_side()
    _require_packages(file_format)
    _require_weights(file_format, weights)
    canvas = canvas or default_canvas(resizing)
    calibration = held_samples(calibration or samples, resizing, canvas)
    samples = held_samples(samples, resizing, canvas)
    resizing = resizing._replace(canvases=(canvas,))
    if model.settings.tiles.size is not None:
        print(
            "Note: the file takes one canvas, and cuts no tiles; whoever runs it cuts "
            "large images."
        )
    function, runtime = canvas_function(model), RUNTIMES[file_format]

    def fill(part):
        part.mkdir()
        path = part / runtime.file
        own = [r.inputs["preprocessed"] for r in sample_requests(calibration, resizing)]
        runtime.writers[weights](function, canvas_inputs(canvas), path, own)
        of_file = {"canvas": canvas, "inputs": _INPUTS, "outputs": _OUTPUTS}
        if weights == "float32":
            _verify(path, runtime.load(path), model, resizing, samples)
        else:
            agreement = agreement_with(model, resizing, samples, runtime.load(path))
            print(agreement.require_half(path.name, weights))
            of_file |= {"weights": weights, "agreement": agreement._asdict()}
        describe(part, model, of_file | dict(info or {}))

    return add_version(directory, version, file_format, fill)


def _require_packages(file_format):
    missing = [
        package
        for package in RUNTIMES[file_format].packages
        if importlib.util.find_spec(package) is None
    ]
    if missing:
        raise ImportError(
            f"export: the format {file_format} needs {', '.join(missing)}; install "
            f'with pip install "tf-frcnn[{file_format}]".'
        )


def _require_weights(file_format, weights):
    known = RUNTIMES[file_format].writers
    if weights not in known:
        raise ValueError(
            f"export: weights = {weights!r} must be one of {', '.join(known)} for the "
            f"format {file_format}."
        )


def held_samples(samples: ExampleSet, resizing: Resizing, canvas: Canvas) -> ExampleSet:
    """Returns the images that the canvas holds in the network's size.

    Raises:
        ValueError: it holds none.
    """
    sizes = network_sizes(samples.records, resizing)[:, 0]
    rows = [row for row, size in enumerate(sizes) if (size <= canvas).all()]
    if not rows:
        height, width = sizes[0]
        raise ValueError(
            f"export: the canvas {canvas[0]}x{canvas[1]} (height x width) holds none "
            f"of the run's {len(sizes)} sample images, so that the file could not be "
            f"checked; the first becomes {height}x{width}. Give another --canvas."
        )
    return samples.subset(rows)


def _verify(path, run, model, resizing, samples):
    """Compares the file's detections in each sample with the model's own."""
    original = Original(model, resizing, samples)
    for row, inputs in sample_requests(samples, resizing):
        original.compare(row, run(inputs["preprocessed"]), path.name)
    original.report()
