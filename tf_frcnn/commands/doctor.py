"""`tf-frcnn doctor`: what would spoil a training, found before it costs hours."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tf_frcnn.commands.arguments import add_overwrite, add_settings, expanded_path

if TYPE_CHECKING:
    from tf_frcnn.config import Config
    from tf_frcnn.data import ExampleSet
    from tf_frcnn.doctor.examination import Examination

HELP = "examine a data set before training, and mend it"
# Files of --output.
PAGE, REPORT = "report.html", "report.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.add_argument(
        "source", metavar="DATA", help="folder or file; for tfds the builder's name"
    )
    parser.add_argument("--reader", help="name of the reader (by the form of DATA)")
    parser.add_argument(
        "--split",
        action="append",
        default=[],
        help="a split to examine; may be repeated (all)",
    )
    parser.add_argument(
        "--config",
        metavar="CONFIG",
        help="a recipe or YAML file whose image size and anchors count",
    )
    parser.add_argument(
        "--output",
        type=expanded_path,
        metavar="DIR",
        help=f"folder for {PAGE} and {REPORT}",
    )
    add_overwrite(parser)
    parser.add_argument(
        "--fix",
        type=expanded_path,
        metavar="OUT",
        help="a new folder for a mended copy of the data",
    )
    parser.add_argument(
        "--format", choices=("voc", "coco"), default="voc", help="of the copy (voc)"
    )
    add_settings(parser)


def run(options: argparse.Namespace) -> int:
    """Examines a data set; returns 1 if something costs hours of training."""
    from tf_frcnn.doctor.examination import examine
    from tf_frcnn.doctor.terminal import print_examination

    _require_places(options)
    config = _config(options)
    sets, failed = _read(config, options.split)
    found = examine(options.source, sets, config, failed)
    print_examination(found)
    if options.output is not None:
        _write_report(found, sets, options.output)
    if options.fix is not None:
        _write_mended(found, sets, options.fix, options.format)
    return int(found.is_serious)


def _require_places(options: argparse.Namespace) -> None:
    """Raises unless what is asked for can be written and replaces nothing."""
    from tf_frcnn.data import require_empty
    from tf_frcnn.runs.outputs import require_free, require_writable

    if options.fix is not None:
        require_empty(options.fix)
        require_writable(options.fix)
    if options.output is not None:
        reports = (options.output / name for name in (PAGE, REPORT))
        require_free(reports, overwrite=options.overwrite)
        require_writable(options.output)


def _config(options: argparse.Namespace) -> Config:
    from tf_frcnn.config import DEFAULT_RECIPE, load_config, make_config
    from tf_frcnn.data import reader_for

    reader = options.reader or reader_for(options.source)
    own = load_config(options.config).data.policy if options.config else {}
    # What would stop the reading is to be found, too.
    policy = {kind: action for kind, action in own.items() if action != "raise"}
    policy |= {"unknown_class": "drop"}
    data = {"reader": reader, "directory": options.source, "policy": policy}
    # So that these names mean the reader's own splits.
    data |= {f"{role}_split": role for role in ("train", "validation", "test")}
    settings: dict[str, Any] = {"base": options.config or DEFAULT_RECIPE}
    return make_config(settings | {"data": data}, options.source, texts=options.set)


def _read(
    config: Config, names: list[str]
) -> tuple[dict[str, ExampleSet], dict[str, str]]:
    """Returns the examples of each split, and why others cannot be read.

    Raises:
        DataError: none can be read, or one that was asked for does not exist.
    """
    from tf_frcnn.assembly import build_examples, split_names
    from tf_frcnn.data import DataError, MissingSplitError

    sets, failed = {}, {}
    for split in names or split_names(config):
        try:
            sets[split] = build_examples(config, split)
        except MissingSplitError:
            raise
        except DataError as error:
            failed[split] = str(error)
            last = error
    if not sets:
        raise last
    return sets, failed


def _write_report(
    found: Examination, sets: dict[str, ExampleSet], folder: Path
) -> None:
    from tf_frcnn.doctor.examination import as_json
    from tf_frcnn.doctor.page import page_of
    from tf_frcnn.runs.safe_files import write_text

    write_text(folder / PAGE, page_of(found, sets))
    text = json.dumps(as_json(found), indent=1, ensure_ascii=False)
    write_text(folder / REPORT, f"{text}\n")
    print(f"Report: {folder / PAGE} and {folder / REPORT}")


def _write_mended(
    found: Examination, sets: dict[str, ExampleSet], folder: Path, form: str
) -> None:
    from tf_frcnn.data import write_splits
    from tf_frcnn.doctor.mending import mend

    mended = mend(sets, found)
    write_splits(mended.splits, folder, form)
    for sentence in mended.done:
        print(sentence)
    print(f"Mended copy: {folder}")
