"""The command `tf-frcnn`."""

import argparse
import re
import signal
import sys
import warnings
from collections.abc import Sequence
from typing import TextIO

from tf_frcnn.commands import COMMANDS

# How an error begins that says which file or option it is in.
_NAMES_SOURCE = re.compile(r"--set\b|[^:]*\.ya?ml\b|[^:]*: No such file")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command.

    Returns:
        The exit status: the command's own or 0, 2 for bad input, and for a signal 128
        and its number.
    """
    options = _parser().parse_args(arguments)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            status = options.run(options)
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        if options.traceback:
            raise
        print(f"tf-frcnn: {_file_of(options, error)}{error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as error:
        print(f"tf-frcnn: {str(error) or 'Stopped.'}", file=sys.stderr)
        return 128 + getattr(error, "number", signal.SIGINT)
    return status or 0


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Shows a warning in one line, without its place in the source."""
    text = " ".join(str(message).split())
    print(f"tf-frcnn: warning: {text}", file=file or sys.stderr)


def _file_of(options: argparse.Namespace, error: Exception) -> str:
    """Returns the source of a setting's error, with ": ", if it does not name it."""
    from tf_frcnn.config import ConfigError, override_paths

    if not isinstance(error, ConfigError) or _NAMES_SOURCE.match(str(error)):
        return ""
    faults = error.paths or (str(error).partition(" = ")[0],)
    given = vars(options)
    overridden = {*override_paths(given.get("set", ()))}
    file = given.get("config") or given.get("run_folder") or given.get("source")
    return "--set: " if overridden & {*faults} else f"{file}: "


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tf-frcnn", description="Faster R-CNN for TensorFlow 2 and Keras 3."
    )
    parser.add_argument(
        "--traceback", action="store_true", help="show where an error was raised"
    )
    parsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        own = parsers.add_parser(name, help=command.HELP)
        command.add_arguments(own)
        own.set_defaults(run=command.run)
    return parser
