"""The options of Beam and of its runners, as a user gives them."""

from collections.abc import Sequence
from typing import NoReturn

from apache_beam.options.pipeline_options import PipelineOptions

# Beam's DirectRunner downloads another program, Prism, and falls back to this one.
_OWN_RUNNERS = {
    "DirectRunner": "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
}
# Those whose options Beam declares; others are asked for theirs when they run.
_DECLARED = ("DirectRunner", "DataflowRunner")


def pipeline_options(runner: str, options: Sequence[str]) -> PipelineOptions:
    """Returns the options of a pipeline.

    Args:
        runner: its name, or that of its class.
        options: Beam's, "NAME=VALUE" or "NAME".

    Raises:
        ValueError: Beam has no such option, which it would leave out in silence, or
            cannot read its value.
    """
    words = [f"--{option.removeprefix('--')}" for option in options]
    if (unknown := _unknown(words)) and runner in _DECLARED:
        raise ValueError(
            f"--beam {unknown[0].removeprefix('--')}: {runner} of Beam has no such "
            "option; names have underscores, and a value follows after =."
        )
    own = f"--runner={_OWN_RUNNERS.get(runner, runner)}"
    return PipelineOptions([own, *words])


def _unknown(words: list[str]) -> list[str]:
    """Returns the words that the parser of all of Beam's options does not know."""
    unknown: list[str] = []

    def parse(parser):
        parser.error = _refuse
        unknown.extend(parser.parse_known_args(words)[1])

    PipelineOptions([]).get_all_options(add_extra_args_fn=parse)
    return unknown


def _refuse(message: str) -> NoReturn:
    raise ValueError(f"--beam: {message}.")
