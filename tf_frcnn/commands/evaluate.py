"""`tf-frcnn evaluate`: mAP and proposal recall of a run."""

import argparse

from tf_frcnn.commands.arguments import add_run, add_settings, check_run

HELP = "mAP and proposal recall of a run, and why it misses"

_PRECISION = 0.9


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_run(parser)
    add_settings(parser)
    parser.add_argument("--split", default="test", help="of the run's data (test)")
    parser.add_argument("--coco", action="store_true", help="COCO's figures too")
    parser.add_argument(
        "--detections",
        nargs="+",
        default=[],
        metavar="LIST",
        help="measures these lists of predict instead of detecting objects",
    )
    parser.add_argument(
        "--report",
        action="store_true",
        help="writes report_SPLIT.html, which says why objects are missed",
    )
    parser.add_argument(
        "--precision",
        type=_share,
        metavar="SHARE",
        help="for which the report seeks the score threshold of each class "
        f"({_PRECISION})",
    )
    parser.add_argument(
        "--write-thresholds",
        choices=("f1", "precision"),
        help="writes a score threshold of each class into the run: of the best F1, or "
        "of --precision; with --report",
    )


def run(options: argparse.Namespace) -> None:
    """Measures a run on a split."""
    if options.precision is not None and not options.report:
        raise ValueError(
            f"--precision {options.precision:g} is for the report; add --report."
        )
    if options.detections and (options.report or options.write_thresholds):
        raise ValueError(
            "--report and --write-thresholds look at the network's stages, which "
            "lists of --detections do not have."
        )
    check_run(options.run_folder, options.set)
    from tf_frcnn.runs import evaluation

    settings = {"overrides": options.set, "coco": options.coco}
    if options.detections:
        evaluation.evaluate_detections(
            options.run_folder, options.split, options.detections, **settings
        )
        return
    evaluation.evaluate_run(
        options.run_folder,
        options.split,
        **settings,
        report_precision=(options.precision or _PRECISION) if options.report else None,
        thresholds_by=options.write_thresholds,
    )


def _share(argument: str) -> float:
    """Returns a number in (0, 1]."""
    try:
        share = float(argument)
    except ValueError:
        share = -1.0
    if not 0 < share <= 1:
        raise argparse.ArgumentTypeError(f"{argument!r} must be a number in (0, 1].")
    return share
