"""`tf-frcnn compare`: the curves of two trainings over each other."""

import argparse
import math
from pathlib import Path

from tf_frcnn.commands.arguments import add_overwrite, expanded_path

HELP = "draw the curves of two trainings over each other, and say where they part"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    what = "a run folder, the configuration whose run is in runs/, or a log.csv"
    parser.add_argument("one", metavar="RUN", help=what)
    parser.add_argument(
        "other",
        metavar="RUN|REFERENCE",
        help=f"{what}; or a recipe whose curves come with the package",
    )
    parser.add_argument(
        "--tolerance",
        type=_tolerance,
        default=0.05,
        metavar="NUMBER",
        help="difference from which on they part: of shares such as the mAP as it is, "
        "of others relative to the larger value (0.05)",
    )
    parser.add_argument(
        "--output",
        type=expanded_path,
        default=Path("comparison.html"),
        metavar="FILE",
        help="page with the curves (comparison.html)",
    )
    add_overwrite(parser)


def run(options: argparse.Namespace) -> None:
    """Compares two trainings."""
    from tf_frcnn.report.comparison import page_of
    from tf_frcnn.runs.comparing import (
        compare_sources,
        find_source,
        print_comparison,
    )
    from tf_frcnn.runs.outputs import require_free, require_writable
    from tf_frcnn.runs.safe_files import write_text

    require_free([options.output], overwrite=options.overwrite)
    one, other = find_source(options.one), find_source(options.other)
    require_writable(options.output.parent)
    found = compare_sources(one, other, options.tolerance)
    print_comparison(found)
    write_text(options.output, page_of(found))
    print(f"Curves: {options.output}")


def _tolerance(argument: str) -> float:
    """Returns a number of at least 0."""
    try:
        number = float(argument)
    except ValueError:
        number = math.nan
    if not 0.0 <= number < math.inf:
        raise argparse.ArgumentTypeError(f"{argument!r} must be a number from 0 on.")
    return number
