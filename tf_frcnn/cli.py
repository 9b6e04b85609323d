"""The command `tf-frcnn`."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tf_frcnn import commands


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit status, 2 for bad input."""
    options = _parser().parse_args(arguments)
    # TensorFlow writes its start-up notes at level 0 and 1; errors stay visible.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        options.run(options)
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        if options.traceback:
            raise
        print(f"tf-frcnn: {_file_of(options, error)}{error}", file=sys.stderr)
        return 2
    return 0


def _file_of(options, error: Exception) -> str:
    """Returns "FILE: " for an error in the configuration that does not name it."""
    from tf_frcnn.config import ConfigError

    sources = (str(getattr(options, "config", "")), "--set")
    names_it = not isinstance(error, ConfigError) or str(error).startswith(sources)
    return "" if names_it else f"{options.config}: "


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tf-frcnn", description="Faster R-CNN for TensorFlow 2 and Keras 3."
    )
    parser.add_argument(
        "--traceback", action="store_true", help="show where an error was raised"
    )
    parsers = parser.add_subparsers(required=True, metavar="COMMAND")

    _add_train(parsers)

    evaluate = parsers.add_parser("evaluate", help="mAP and proposal recall of a run")
    _add_run(evaluate)
    _add_set(evaluate)
    evaluate.add_argument("--split", default="test", help="of the run's data (test)")
    evaluate.add_argument("--coco", action="store_true", help="COCO's figures too")
    evaluate.set_defaults(run=commands.evaluate)

    predict = parsers.add_parser("predict", help="draw and list detections of images")
    _add_run(predict)
    _add_pictures(predict)
    predict.set_defaults(run=commands.predict)

    _add_export(parsers)
    _add_client(parsers)
    _add_demo(parsers)
    _add_convert(parsers)

    show = parsers.add_parser("show-config", help="print the effective configuration")
    _add_config(show)
    show.set_defaults(run=commands.show_config)

    shapes = parsers.add_parser("make-shapes", help="write the shapes as a VOC folder")
    shapes.add_argument("directory", type=Path)
    shapes.add_argument("--train", type=int, default=800, metavar="N")
    shapes.add_argument("--validation", type=int, default=100, metavar="N")
    shapes.add_argument("--test", type=int, default=100, metavar="N")
    shapes.add_argument("--seed", type=int, default=0)
    shapes.set_defaults(run=commands.make_shapes)
    return parser


def _add_train(parsers) -> None:
    train = parsers.add_parser("train", help="train, evaluate, draw and export")
    _add_config(train, nargs="?", more=" (with --init, that of RUN)")
    train.add_argument("--output", type=Path, help="run folder (runs/CONFIG's name)")
    train.add_argument(
        "--init",
        type=_run_folder,
        metavar="RUN",
        help="start from the weights of a trained or converted run",
    )
    train.add_argument("--resume", action="store_true", help="go on with the run")
    train.set_defaults(run=commands.train)


def _add_export(parsers) -> None:
    export = parsers.add_parser(
        "export", help="write a SavedModel, ONNX or TFLite file and check it"
    )
    _add_run(export)
    export.add_argument(
        "directory", type=Path, metavar="DIR", help="versions lie in DIR/1, DIR/2, ..."
    )
    export.add_argument("--version", type=int, metavar="N", help="(the next one)")
    export.add_argument(
        "--score-threshold", type=float, metavar="X", help="(that of the run)"
    )
    export.add_argument(
        "--max-detections", type=int, metavar="N", help="per picture (that of the run)"
    )
    export.add_argument(
        "--class-agnostic-nms",
        action="store_true",
        help="boxes of different classes suppress each other, too",
    )
    export.add_argument(
        "--max-megapixels",
        type=float,
        metavar="X",
        help="of a SavedModel: larger encoded pictures are refused (50)",
    )
    export.add_argument(
        "--format", choices=("savedmodel", "onnx", "tflite"), default="savedmodel"
    )
    export.add_argument(
        "--canvas",
        type=_canvas,
        metavar="HEIGHTxWIDTH",
        help="of ONNX and TFLite (the run's largest that is not upright)",
    )
    export.set_defaults(run=commands.export)


def _canvas(argument: str) -> tuple[int, int]:
    """Returns the (height, width) in pixels that "320x416" stands for."""
    sides = argument.split("x")
    if len(sides) != 2 or not all(side.isdecimal() and int(side) for side in sides):
        raise argparse.ArgumentTypeError(
            f"{argument!r} must be HEIGHTxWIDTH in pixels, such as 320x416"
        )
    return int(sides[0]), int(sides[1])


def _add_client(parsers) -> None:
    client = parsers.add_parser("client", help="let a server detect objects in images")
    server = client.add_mutually_exclusive_group(required=True)
    server.add_argument("--url", help="REST, such as http://localhost:8501")
    server.add_argument("--grpc", metavar="HOST:PORT", help="such as localhost:8500")
    client.add_argument("--model", required=True, metavar="NAME", help="on the server")
    client.add_argument("--version", type=int, metavar="N", help="(the latest)")
    _add_pictures(client)
    client.add_argument(
        "--batch-size", type=int, default=8, metavar="N", help="pictures a request (8)"
    )
    client.add_argument(
        "--concurrency", type=int, default=1, metavar="N", help="requests at once (1)"
    )
    client.add_argument(
        "--timeout", type=float, default=60.0, metavar="X", help="seconds (60)"
    )
    client.add_argument(
        "--retries",
        type=int,
        default=3,
        metavar="N",
        help="while the server is unavailable (3)",
    )
    client.set_defaults(run=commands.client)


def _add_demo(parsers) -> None:
    demo = parsers.add_parser("demo", help="a web page to try a run on pictures")
    _add_run(demo)
    demo.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (127.0.0.1)"
    )
    demo.add_argument("--port", type=int, default=8000, help="0: any free one (8000)")
    demo.add_argument(
        "--public-host",
        metavar="NAME",
        help="a further name that requests may call the server by, as behind a proxy",
    )
    demo.add_argument(
        "--max-megabytes",
        type=float,
        default=20.0,
        metavar="X",
        help="larger files are refused (20)",
    )
    demo.add_argument(
        "--max-megapixels",
        type=float,
        default=50.0,
        metavar="X",
        help="larger pictures are refused (50)",
    )
    demo.set_defaults(run=commands.demo)


def _add_convert(parsers) -> None:
    convert = parsers.add_parser(
        "convert", help="make a run folder of a published checkpoint"
    )
    convert.add_argument(
        "source",
        metavar="SOURCE",
        help="the program that wrote it, such as torchvision",
    )
    convert.add_argument("file", type=Path, metavar="FILE", help="the checkpoint")
    convert.add_argument("output", type=Path, metavar="OUTPUT", help="the run folder")
    convert.add_argument(
        "--classes", type=Path, metavar="FILE", help="class names, one per line"
    )
    convert.add_argument("--variant", help="which of the source's, if the file is mute")
    convert.add_argument(
        "--allow-incomplete", action="store_true", help="what lacks stays random"
    )
    convert.set_defaults(run=commands.convert)


def _add_config(parser: argparse.ArgumentParser, nargs=None, more: str = "") -> None:
    parser.add_argument(
        "config", type=Path, nargs=nargs, metavar="CONFIG", help=f"a YAML file{more}"
    )
    _add_set(parser)


def _add_pictures(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("images", nargs="+", help="files, folders or glob patterns")
    parser.add_argument("--output", type=Path, default=Path("predictions"))
    parser.add_argument("--min-score", type=float, default=0.5)


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run_folder",
        type=_run_folder,
        metavar="RUN",
        help="a run folder, or the configuration whose run lies in runs/",
    )


def _run_folder(argument: str) -> Path:
    """Returns the run folder meant by a folder or by a configuration file."""
    path = Path(argument)
    return commands.default_output(path) if path.suffix in (".yaml", ".yml") else path


def _add_set(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SECTION.NAME=VALUE",
        help="overrides a setting; may be repeated",
    )
