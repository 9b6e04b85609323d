"""`tf-frcnn make-shapes`: the built-in shapes as a VOC folder."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tf_frcnn.commands.arguments import expanded_path

HELP = "write the shapes as a VOC folder"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument("directory", type=expanded_path, help="a new folder")
    parser.add_argument("--train", type=int, default=800, metavar="N")
    parser.add_argument("--validation", type=int, default=100, metavar="N")
    parser.add_argument("--test", type=int, default=100, metavar="N")
    parser.add_argument("--seed", type=int, default=0)


def run(options: argparse.Namespace) -> None:
    """Writes the built-in shapes as a VOC folder."""
    counts = {name: getattr(options, name) for name in ("train", "validation", "test")}
    write_shapes(options.directory, counts, options.seed)


def write_shapes(directory: Path, counts: Mapping[str, int], seed: int) -> None:
    """Writes the built-in shapes as a VOC folder with one split per count.

    Args:
        directory: of the VOC folder.
        counts: split -> number of images.
        seed: as in a configuration; the images are the same.

    Raises:
        DataError: the folder exists and is not empty.
        OSError: it cannot be written.
    """
    from tf_frcnn.data import read_shapes, require_empty, write_voc
    from tf_frcnn.runs.outputs import require_writable

    require_empty(directory)
    require_writable(directory)
    for split, count in counts.items():
        size: dict[str, Any] = {f"num_{split}": count}
        examples = read_shapes(None, split, seed=seed, **size)
        write_voc(examples, directory, split)
        print(f"{directory}: {split}, {count} images.")
