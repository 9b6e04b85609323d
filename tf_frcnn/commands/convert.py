"""`tf-frcnn convert`: a run folder of a published checkpoint."""

import argparse
from pathlib import Path

from tf_frcnn.commands.arguments import expanded_path

HELP = "make a run folder of a published checkpoint"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "source",
        metavar="SOURCE",
        help="the program that wrote it, such as torchvision",
    )
    parser.add_argument(
        "file", type=expanded_path, metavar="FILE", help="the checkpoint"
    )
    parser.add_argument(
        "output", type=expanded_path, metavar="OUTPUT", help="the run folder"
    )
    parser.add_argument(
        "--classes",
        type=expanded_path,
        metavar="FILE",
        help="class names, one per line",
    )
    parser.add_argument("--variant", help="one of the source's, if not in the file")
    parser.add_argument(
        "--allow-incomplete", action="store_true", help="missing weights stay random"
    )


def run(options: argparse.Namespace) -> None:
    """Makes a run folder of a published checkpoint."""
    convert_checkpoint(
        options.source,
        options.file,
        options.output,
        classes=options.classes,
        variant=options.variant,
        strict=not options.allow_incomplete,
    )


def convert_checkpoint(
    source: str,
    file: Path,
    directory: Path,
    *,
    classes: Path | None = None,
    variant: str | None = None,
    strict: bool = True,
) -> None:
    """Makes a run folder of a published checkpoint and prints a report.

    Args:
        source: one of `checkpoints.SOURCES`.
        file: the checkpoint.
        directory: the run folder.
        classes: file with one class name per line; None for those of the checkpoint.
        variant: one of the source's, where the file does not tell.
        strict: whether an incomplete load is an error.
    """
    from tf_frcnn.checkpoints import REPORT_FILE, convert

    names = None if classes is None else _read_class_names(classes)
    loaded = convert(source, file, directory, names, variant=variant, strict=strict)
    print(loaded.report.summary())
    for note in loaded.notes:
        print(f"Note: {note}")
    print(f"Report:     {directory / REPORT_FILE}")
    print(f"Run folder: {directory} ({len(loaded.model.class_names)} classes)")


def _read_class_names(path: Path) -> tuple[str, ...]:
    """Reads one name per line; empty lines are skipped."""
    from tf_frcnn.checkpoints import check_classes

    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: it is not UTF-8 text.") from error
    return check_classes([line.strip() for line in lines if line.strip()], str(path))
