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
    predict_files(options.run_folder, options.images, options.output, options.min_score)


def predict_files(
    directory: Path, patterns: Sequence[str], output: Path, min_score: float
) -> None:
    """Detects objects in files; writes a PNG of each and detections.json.

    Args:
        directory: the run folder.
        patterns: files, folders or glob patterns.
        output: folder for the results.
        min_score: detections below it are neither drawn nor listed.
    """
    from tf_frcnn.data.readers.images import find_images, read_images
    from tf_frcnn.models.evaluating import observe
    from tf_frcnn.runs.inference import load_detector
    from tf_frcnn.runs.predictions import output_names, write_predictions

    run = load_detector(directory)
    examples = read_images(find_images(patterns), run.model.class_names)
    examples.problems.print()
    output_names(examples, output)  # Fails early if a file would be overwritten.
    _, found = observe(run.model, examples)
    write_predictions(examples, found, output, min_score)
