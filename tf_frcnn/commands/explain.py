"""`tf-frcnn explain`: the stages of one image, as drawings."""

import argparse
from pathlib import Path

from tf_frcnn.commands.arguments import (
    add_overwrite,
    add_run,
    check_run,
    expanded_path,
)

HELP = "draw what each stage makes of an image"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_run(parser)
    parser.add_argument("image", type=expanded_path, help="a file")
    parser.add_argument(
        "--output",
        type=expanded_path,
        default=Path("explanation"),
        metavar="DIR",
        help="folder for the drawings (explanation)",
    )
    add_overwrite(parser)


def run(options: argparse.Namespace) -> None:
    """Writes the drawings, and prints the class scores of the likeliest proposals."""
    check_run(options.run_folder)
    from tf_frcnn.runs.explaining import STAGES, explain
    from tf_frcnn.runs.inference import load_detector
    from tf_frcnn.runs.outputs import require_free, require_writable
    from tf_frcnn.runs.writing import write_image

    files = {name: options.output / f"{name}.png" for name in STAGES}
    require_free(files.values(), overwrite=options.overwrite)
    require_writable(options.output)
    explained = explain(load_detector(options.run_folder).model, options.image)
    for name, image in explained.images.items():
        write_image(files[name], image)
    for line in explained.lines:
        print(line)
    print(f"Drawings: {options.output}")
