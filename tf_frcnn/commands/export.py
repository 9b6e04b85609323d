"""`tf-frcnn export`: a run as a SavedModel, or as a file for another runtime."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tf_frcnn.commands.arguments import (
    add_run,
    add_tiles,
    check_run,
    expanded_path,
    height_and_width,
    tile_settings,
)

HELP = "write a SavedModel, ONNX or TFLite file and check it"

_NAMES = {"savedmodel": "SavedModel", "onnx": "ONNX", "tflite": "TFLite"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_run(parser)
    parser.add_argument(
        "directory",
        type=expanded_path,
        metavar="DIR",
        help="of the versions DIR/1, DIR/2, ...",
    )
    parser.add_argument("--version", type=int, metavar="N", help="(the next one)")
    parser.add_argument(
        "--score-threshold", type=float, metavar="X", help="(that of the run)"
    )
    parser.add_argument(
        "--max-detections", type=int, metavar="N", help="per image (that of the run)"
    )
    parser.add_argument(
        "--class-agnostic-nms",
        action="store_true",
        help="boxes of different classes also suppress each other",
    )
    parser.add_argument(
        "--max-megapixels",
        type=float,
        metavar="X",
        help="of a SavedModel: larger encoded images are refused (50)",
    )
    parser.add_argument("--format", choices=tuple(_NAMES), default="savedmodel")
    parser.add_argument(
        "--weights",
        choices=("float32", "float16", "int8"),
        help="of ONNX (float32, int8) and TFLite (float32)",
    )
    parser.add_argument(
        "--calibrate",
        type=expanded_path,
        metavar="FOLDER",
        help="images on which ONNX fixes ranges for int8 (the run's samples)",
    )
    parser.add_argument(
        "--canvas",
        type=height_and_width,
        metavar="HEIGHTxWIDTH",
        help="of ONNX and TFLite (the run's largest that is not portrait)",
    )
    add_tiles(parser)


def run(options: argparse.Namespace) -> None:
    """Writes a version of a SavedModel, or of a file for another runtime."""
    changed = {
        "detections.score_threshold": options.score_threshold,
        "detections.max_per_image": options.max_detections,
        "tiles.max_per_image": options.max_detections,
        "detections.class_agnostic_nms": "true" if options.class_agnostic_nms else None,
    }
    overrides = [f"{path}={v}" for path, v in changed.items() if v is not None]
    overrides += tile_settings(options)
    settings = _settings_of_format(options)
    check_run(options.run_folder, overrides)
    version = export_run(
        options.run_folder,
        options.directory,
        file_format=options.format,
        overrides=overrides,
        version=options.version,
        calibrate=options.calibrate,
        **settings,
    )
    print(f"{_NAMES[options.format]}: {version}")


def _settings_of_format(options: argparse.Namespace) -> dict[str, Any]:
    """Returns the settings of the format; raises for those of the other kind."""
    is_saved_model = options.format == "savedmodel"
    for name in ("canvas", "weights"):
        if is_saved_model and getattr(options, name):
            raise ValueError(f"--{name} needs --format onnx or tflite.")
    if options.calibrate and (options.format, options.weights) != ("onnx", "int8"):
        raise ValueError("--calibrate needs --format onnx --weights int8.")
    if not is_saved_model and options.max_megapixels is not None:
        raise ValueError(
            "--max-megapixels needs --format savedmodel: other files take no encoded "
            "images."
        )
    if not is_saved_model and tile_settings(options):
        raise ValueError("--tiles needs --format savedmodel: other files cut none.")
    names = ("max_megapixels",) if is_saved_model else ("canvas", "weights")
    own = {name: getattr(options, name) for name in names}
    return {name: value for name, value in own.items() if value is not None}


def export_run(
    directory: Path,
    target: Path,
    *,
    file_format: str = "savedmodel",
    overrides: Sequence[str] = (),
    calibrate: Path | None = None,
    **settings: Any,
) -> Path:
    """Exports a run and checks the export on the run's sample images.

    Args:
        directory: the run folder.
        target: folder of the versions.
        file_format: "savedmodel", or a key of `export.RUNTIMES`, whose files compute in
            float32 whatever the run trained in.
        overrides: settings that replace those of the run.
        calibrate: folder or file of images for int8 weights; None for the run's
            samples.
        **settings: `version` and `max_megapixels` of `export_model`, or `version`,
            `canvas` and `weights` of `convert_model`.

    Returns:
        The folder of the version that was written.

    Raises:
        OSError: the version exists, or cannot be written; nothing was computed.
    """
    from tf_frcnn.data.readers.images import find_images, read_images
    from tf_frcnn.export import RUNTIMES, convert_model, export_model
    from tf_frcnn.export.versions import require_free
    from tf_frcnn.runs.inference import load_detector
    from tf_frcnn.runs.outputs import require_writable
    from tf_frcnn.runs.reports import run_info
    from tf_frcnn.runs.training import SAMPLES_FOLDER

    require_free(target, settings.get("version"), file_format)
    require_writable(target)
    is_converted = file_format in RUNTIMES
    if is_converted:
        settings["file_format"] = file_format
        overrides = [*overrides, "train.precision=float32"]
    run = load_detector(directory, overrides)
    names = run.model.class_names
    samples = read_images(find_images([directory / SAMPLES_FOLDER]), names)
    if calibrate is not None:
        settings["calibration"] = read_images(find_images([calibrate]), names)
    resizing, info = run.model.resizing, run_info(run)
    write = convert_model if is_converted else export_model
    return write(run.model, resizing, target, samples, info=info, **settings)
