"""Arguments that several commands take."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def add_config(
    parser: argparse.ArgumentParser, *, nargs: str | None = None, more: str = ""
) -> None:
    """Adds a configuration, and settings that override it.

    Args:
        parser: of the command.
        nargs: "?" where the configuration may be left out.
        more: text added to its help.
    """
    parser.add_argument(
        "config",
        nargs=nargs,
        metavar="CONFIG",
        help=f"a YAML file, or the name of a recipe such as quickstart{more}",
    )
    add_settings(parser)


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Adds settings that override those of a configuration."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="SECTION.NAME=VALUE",
        help="overrides a setting; may be repeated",
    )
    parser.add_argument(
        "--no-follow",
        action="append_const",
        dest="set",
        const="data.follow_links=false",
        help="reads nothing outside the folder of the data, for data of others",
    )


def add_run(
    parser: argparse.ArgumentParser, *, convert: Callable[[str], Any] | None = None
) -> None:
    """Adds the folder of a run.

    Args:
        parser: of the command.
        convert: makes the folder of its argument; None for `run_folder`.
    """
    parser.add_argument(
        "run_folder",
        type=convert or run_folder,
        metavar="RUN",
        help="a run folder, or the configuration whose run is in runs/",
    )


def add_images(
    parser: argparse.ArgumentParser,
    *,
    nargs: str = "+",
    more: str = "",
    convert: Callable[[str], Any] | None = None,
) -> None:
    """Adds image files and the options of their detections.

    Args:
        parser: of the command.
        nargs: "*" where there may be none.
        more: text added to their help.
        convert: makes the output folder of its argument; None for `expanded_path`.
    """
    parser.add_argument(
        "images", nargs=nargs, help=f"files, folders or glob patterns{more}"
    )
    parser.add_argument(
        "--output",
        type=convert or expanded_path,
        default=Path("predictions"),
        metavar="DIR",
        help="folder for the results (predictions)",
    )
    add_overwrite(parser)
    parser.add_argument(
        "--min-score",
        type=float,
        metavar="SCORE",
        help="of detections that are listed and drawn (0.5; 0 where the run has "
        "detections.class_thresholds)",
    )
    parser.add_argument(
        "--picture-format",
        choices=["jpeg", "png"],
        default="jpeg",
        help="of the drawings (jpeg)",
    )
    parser.add_argument("--no-pictures", action="store_true", help="draws nothing")


def add_tiles(parser: argparse.ArgumentParser) -> None:
    """Adds the tiles that large images are cut into."""
    parser.add_argument(
        "--tiles",
        type=height_and_width,
        metavar="HEIGHTxWIDTH",
        help="cuts larger images into overlapping tiles of so many pixels",
    )
    parser.add_argument(
        "--tile-overlap",
        type=float,
        metavar="SHARE",
        help="of a tile that the next one sees, too (that of the run)",
    )
    parser.add_argument(
        "--no-whole-image",
        action="store_true",
        help="looks at the tiles alone, where no object is longer than a tile holds",
    )


def tile_settings(options: argparse.Namespace) -> list[str]:
    """Returns what `add_tiles` asks for, as settings that override a run's.

    Raises:
        ValueError: one of the others is there without tiles.
    """
    overlap, own = options.tile_overlap, {}
    if overlap is not None:
        own[f"--tile-overlap {overlap}"] = f"tiles.overlap={overlap}"
    if options.no_whole_image:
        own["--no-whole-image"] = "tiles.whole_image=false"
    if options.tiles is None:
        if own:
            raise ValueError(f"{next(iter(own))} needs --tiles HEIGHTxWIDTH.")
        return []
    return [f"tiles.size={list(options.tiles)}", *own.values()]


def height_and_width(argument: str) -> tuple[int, int]:
    """Returns the (height, width) in pixels that "320x416" stands for."""
    sides = argument.split("x")
    if len(sides) != 2 or not all(side.isdecimal() and int(side) for side in sides):
        raise argparse.ArgumentTypeError(
            f"{argument!r} must be HEIGHTxWIDTH in pixels, such as 320x416"
        )
    return int(sides[0]), int(sides[1])


def picture_format(options: argparse.Namespace) -> str | None:
    """Returns the format of the drawings that `add_images` asks for; None for none."""
    return None if options.no_pictures else options.picture_format


def add_overwrite(parser: argparse.ArgumentParser) -> None:
    """Adds the word without which no file is replaced."""
    parser.add_argument(
        "--overwrite", action="store_true", help="replaces results that exist"
    )


def expanded_path(argument: str) -> Path:
    """Returns a path with ~ expanded, which shells do not do after an "="."""
    return Path(argument).expanduser()


def default_output(config: Path) -> Path:
    """Returns the run folder of a configuration."""
    return Path("runs") / config.stem


def check_run(directory: Path, overrides: Sequence[str] = ()) -> None:
    """Refuses what is no run, and settings that it cannot have, before TensorFlow.

    That takes seconds to start.

    Raises:
        FileNotFoundError: the folder lacks a file that every run has.
        ConfigError: a setting is not sound.
    """
    from tf_frcnn.config import load_config
    from tf_frcnn.runs.settings_files import run_config

    load_config(run_config(directory), overrides)


def run_folder(argument: str) -> Path:
    """Returns the run folder of a folder, a configuration file or a recipe."""
    from tf_frcnn.config import recipe_names

    folder = expanded_path(argument)
    is_config = folder.suffix in (".yaml", ".yml")
    if is_config or (argument in recipe_names() and not folder.exists()):
        return default_output(folder)
    return folder
