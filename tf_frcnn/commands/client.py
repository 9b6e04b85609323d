"""`tf-frcnn client`: detections that a server makes."""

import argparse
import contextlib

from tf_frcnn.commands.arguments import add_images, picture_format

HELP = "let a server detect objects in images"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    server = parser.add_mutually_exclusive_group(required=True)
    server.add_argument("--url", help="REST, such as http://localhost:8501")
    server.add_argument("--grpc", metavar="HOST:PORT", help="such as localhost:8500")
    parser.add_argument("--model", required=True, metavar="NAME", help="on the server")
    parser.add_argument("--version", type=int, metavar="N", help="(the latest)")
    add_images(parser)
    parser.add_argument(
        "--batch-size", type=int, default=8, metavar="N", help="images a request (8)"
    )
    parser.add_argument(
        "--concurrency", type=int, default=1, metavar="N", help="requests at once (1)"
    )
    parser.add_argument(
        "--timeout", type=float, default=60.0, metavar="X", help="seconds (60)"
    )
    parser.add_argument(
        "--retries",
        type=int,
        default=3,
        metavar="N",
        help="while the server is unavailable (3)",
    )


def run(options: argparse.Namespace) -> None:
    """Draws and lists the detections of files that a server makes."""
    from tf_frcnn.client import connect, detect_files
    from tf_frcnn.runs.prediction_outputs import Outputs

    service = connect(
        options.model,
        options.version,
        url=options.url,
        grpc=options.grpc,
        timeout=options.timeout,
        retries=options.retries,
        concurrency=options.concurrency,
    )
    with contextlib.closing(service):
        detect_files(
            service,
            options.images,
            Outputs(options.output, picture_format(options)),
            0.5 if options.min_score is None else options.min_score,
            batch_size=options.batch_size,
            concurrency=options.concurrency,
            overwrite=options.overwrite,
        )
