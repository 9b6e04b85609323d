"""`tf-frcnn predict`: detections of files, listed and drawn."""

import argparse

from tf_frcnn.commands.arguments import (
    add_images,
    add_run,
    expanded_path,
    picture_format,
)

HELP = "list and draw detections of images"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_run(parser)
    add_images(parser)
    parser.add_argument(
        "--batch-size", type=int, metavar="N", help="images a batch (the run's own)"
    )
    parser.add_argument(
        "--shard", metavar="I/N", help="only the I-th of N parts of the images"
    )
    parser.add_argument(
        "--coco",
        type=expanded_path,
        metavar="FILE",
        help="writes the detections as COCO's results, too",
    )
    parser.add_argument(
        "--coco-ids",
        type=expanded_path,
        metavar="ANNOTATIONS",
        help="COCO's JSON file that has the ids of images and classes",
    )


def run(options: argparse.Namespace) -> None:
    """Lists and draws the detections of files."""
    from tf_frcnn.runs.predicting import predict_files
    from tf_frcnn.runs.prediction_outputs import Outputs
    from tf_frcnn.runs.shards import Shard

    shard = None if options.shard is None else Shard.parse(options.shard)
    predict_files(
        options.run_folder,
        options.images,
        Outputs(options.output, picture_format(options), shard),
        min_score=options.min_score,
        batch_size=options.batch_size,
        coco=options.coco,
        coco_ids=options.coco_ids,
        overwrite=options.overwrite,
    )
