"""`tf-frcnn predict`: detections of files, drawn and listed."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tf_frcnn.commands.arguments import add_images, add_run

HELP = "draw and list detections of images"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_run(parser)
    add_images(parser)


def run(options: argparse.Namespace) -> None:
    """Draws and lists the detections of files."""
    predict_files(
        options.run_folder,
        options.images,
        options.output,
        options.min_score,
        overwrite=options.overwrite,
    )


def predict_files(
    directory: Path,
    patterns: Sequence[str],
    output: Path,
    min_score: float,
    *,
    overwrite: bool = False,
) -> None:
    """Detects objects in files; writes a PNG of each and detections.json.

    Args:
        directory: the run folder.
        patterns: files, folders or glob patterns.
        output: folder for the results.
        min_score: detections below it are neither drawn nor listed.
        overwrite: whether files in that folder may be replaced; never an image given.

    Raises:
        OSError: a result exists, or cannot be written; nothing was computed.
    """
    from tf_frcnn.data.readers.images import find_images, print_skipped, read_images
    from tf_frcnn.runs.inference import load_detector, run_config
    from tf_frcnn.runs.predictions import detect_each, plan_outputs, write_predictions

    run_config(directory)
    paths = find_images(patterns)
    names = plan_outputs(paths, output, overwrite=overwrite)
    print_skipped(patterns)
    run = load_detector(directory)
    examples = read_images(paths, run.model.class_names)
    examples.problems.print()
    found = detect_each(run.model, examples)
    write_predictions(examples, found, output, names, min_score)
