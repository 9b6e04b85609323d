"""`tf-frcnn evaluate`: mAP and proposal recall of a run."""

import argparse

from tf_frcnn.commands.arguments import add_run, add_settings

HELP = "mAP and proposal recall of a run"


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


def run(options: argparse.Namespace) -> None:
    """Measures a run on a split."""
    from tf_frcnn.runs import evaluation

    settings = {"overrides": options.set, "coco": options.coco}
    if options.detections:
        evaluation.evaluate_detections(
            options.run_folder, options.split, options.detections, **settings
        )
    else:
        evaluation.evaluate_run(options.run_folder, options.split, **settings)
