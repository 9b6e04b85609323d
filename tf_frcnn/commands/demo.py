"""`tf-frcnn demo`: a web page to try a run on images."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tf_frcnn.commands.arguments import add_run, add_tiles, check_run, tile_settings

HELP = "a web page to try a run on images"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_run(parser)
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (127.0.0.1)"
    )
    parser.add_argument("--port", type=int, default=8000, help="0: any free one (8000)")
    parser.add_argument(
        "--public-host",
        metavar="NAME",
        help="another name of the server in requests, such as a proxy's",
    )
    parser.add_argument(
        "--max-megabytes",
        type=float,
        default=20.0,
        metavar="X",
        help="larger files are refused (20)",
    )
    parser.add_argument(
        "--max-megapixels",
        type=float,
        default=50.0,
        metavar="X",
        help="larger images are refused (50)",
    )
    add_tiles(parser)


def run(options: argparse.Namespace) -> None:
    """Serves a web page that shows detections."""
    overrides = tile_settings(options)
    check_run(options.run_folder, overrides)
    serve_demo(
        options.run_folder,
        host=options.host,
        port=options.port,
        public_host=options.public_host,
        max_megabytes=options.max_megabytes,
        max_megapixels=options.max_megapixels,
        overrides=overrides,
    )


def serve_demo(
    directory: Path,
    *,
    host: str,
    port: int,
    public_host: str | None = None,
    max_megabytes: float,
    max_megapixels: float,
    overrides: Sequence[str] = (),
) -> None:
    """Serves a web page that shows a run's detections, until it is interrupted.

    Args:
        directory: the run folder.
        host: the address to listen on.
        port: 0 for any free one.
        public_host: another name that requests may use for the server.
        max_megabytes: larger files are refused.
        max_megapixels: images that claim to have more are refused.
        overrides: settings that replace those of the run.
    """
    import tensorflow as tf

    from tf_frcnn import demo
    from tf_frcnn.runs.inference import load_detector, shown_from

    demo.require_packages()
    _require_limits(max_megabytes, max_megapixels)
    if public_host is not None:
        demo.require_host_name(public_host)
    with demo.listen(host, port) as listener:
        run = load_detector(directory, overrides)
        names = run.model.class_names
        resizing = run.model.resizing
        detect = demo.image_detector(run.model, resizing, int(max_megapixels * 1e6))
        detect(tf.io.encode_png(tf.zeros([64, 64, 3], tf.uint8)).numpy())  # Warms up.
        demo.serve(
            detect,
            listener,
            name=directory.resolve().name,
            class_names=names,
            min_score=shown_from(run.config),
            public_host=public_host,
            max_megabytes=max_megabytes,
            max_megapixels=max_megapixels,
        )


def _require_limits(max_megabytes: float, max_megapixels: float) -> None:
    """Raises a ValueError for a limit that no image or every image exceeds."""
    from tf_frcnn.export.limits import MEGABYTES, MEGAPIXELS, require_within

    require_within("demo: max_megabytes", max_megabytes, MEGABYTES)
    require_within("demo: max_megapixels", max_megapixels, MEGAPIXELS)
