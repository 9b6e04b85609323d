"""`tf-frcnn predict`: detections of files, listed and drawn."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tf_frcnn.commands.arguments import (
    add_images,
    add_run,
    add_tiles,
    check_run,
    expanded_path,
    picture_format,
    run_folder,
    tile_settings,
)
from tf_frcnn.commands.export import export_run

HELP = "list and draw detections of images and videos"

# The options that images in a pipeline of Beam, and videos, do not have.
_NOT_ON_BEAM = ("shard", "coco", "coco_ids")
_NOT_OF_VIDEOS = (*_NOT_ON_BEAM, "files_from", "runner")
_ONLY_ON_BEAM = ("beam", "list_format")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    add_run(parser, convert=_place(run_folder))
    add_images(
        parser,
        nargs="*",
        more=", or a video, or the address of a camera",
        convert=_place(expanded_path),
    )
    parser.add_argument(
        "--files-from",
        action="append",
        default=[],
        metavar="LIST",
        help="a text file with the path of an image a line; may be repeated",
    )
    parser.add_argument(
        "--batch-size", type=int, metavar="N", help="images a batch (the run's own)"
    )
    add_tiles(parser)
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
    _add_beam(parser)


def _add_beam(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--runner",
        metavar="NAME",
        help="detects in a pipeline of Apache Beam, on DirectRunner, DataflowRunner, "
        "FlinkRunner ...; draws nothing",
    )
    parser.add_argument(
        "--beam",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of Beam or of its runner; may be repeated",
    )
    parser.add_argument(
        "--list-format",
        choices=["jsonl", "parquet"],
        help="of the lists that a pipeline writes (jsonl)",
    )


def run(options: argparse.Namespace) -> None:
    """Lists and draws the detections of files."""
    if options.batch_size is not None and options.batch_size < 1:
        raise ValueError(f"--batch-size {options.batch_size}: it must be at least 1.")
    if not options.images and not options.files_from:
        raise ValueError("predict: give images, or a list of them by --files-from.")
    for path in options.images:
        if path.lower().endswith(".txt"):
            raise ValueError(f"{path} is no image; give a list by --files-from {path}.")
    if not options.runner:
        check_run(_own_place(options.run_folder), tile_settings(options))
    from tf_frcnn.data.readers.video import find_videos

    if find_videos(options.images):
        _refuse(options, (*_NOT_OF_VIDEOS, *_ONLY_ON_BEAM), "videos have no")
        _predict_videos(options)
    elif options.runner:
        _refuse(options, _NOT_ON_BEAM, "--runner goes without")
        _predict_on_beam(options)
    else:
        _refuse(options, _ONLY_ON_BEAM, "without --runner there is no")
        _predict_files(options)


def _predict_files(options: argparse.Namespace) -> None:
    from tf_frcnn.runs.predicting import predict_files
    from tf_frcnn.runs.prediction_outputs import Outputs
    from tf_frcnn.runs.shards import Shard

    shard = None if options.shard is None else Shard.parse(options.shard)
    predict_files(
        _own_place(options.run_folder),
        options.images,
        Outputs(_own_place(options.output), picture_format(options), shard),
        lists=options.files_from,
        min_score=options.min_score,
        batch_size=options.batch_size,
        coco=options.coco,
        coco_ids=options.coco_ids,
        overwrite=options.overwrite,
        overrides=tile_settings(options),
    )


def _predict_videos(options: argparse.Namespace) -> None:
    from tf_frcnn.runs.predicting_videos import predict_videos

    predict_videos(
        _own_place(options.run_folder),
        options.images,
        _own_place(options.output),
        min_score=options.min_score,
        batch_size=options.batch_size,
        draws=not options.no_pictures,
        overwrite=options.overwrite,
        overrides=tile_settings(options),
    )


def _predict_on_beam(options: argparse.Namespace) -> None:
    from tf_frcnn.beam import require_packages

    require_packages()
    from tf_frcnn.beam.inputs import Images
    from tf_frcnn.beam.outputs import Lists
    from tf_frcnn.beam.pipeline import check_pipeline, predict_on_beam

    lists = Lists(str(options.output), options.list_format or "jsonl")
    # Before a model is exported.
    check_pipeline(lists, options.runner, options.beam, overwrite=options.overwrite)
    counts = predict_on_beam(
        str(_exported(options.run_folder, tile_settings(options))),
        Images(options.images, options.files_from),
        lists,
        runner=options.runner,
        options=options.beam,
        min_score=options.min_score,
        batch_size=options.batch_size,
        overwrite=options.overwrite,
    )
    print(
        f"{counts['images']} images, {counts['unreadable_images']} of them unreadable, "
        f"with {counts['detections']} detections: {lists.pattern}"
    )


def _exported(place: Path | str, overrides: list[str]) -> Path | str:
    """Returns the exported model of a place: itself, or that of a run folder.

    Args:
        place: the folder, or its address.
        overrides: settings that replace those of the run.
    """
    from tf_frcnn.export.exported import find_export, read_info
    from tf_frcnn.export.versions import INFO_FILE

    is_exported = isinstance(place, str) or (place / INFO_FILE).is_file()
    if is_exported and overrides:
        raise ValueError(
            f"{place}: an exported model cuts as it was exported; leave out "
            "--tiles, --tile-overlap and --no-whole-image."
        )
    if isinstance(place, str):
        return place
    if (place / INFO_FILE).is_file():
        read_info(place)
        return place.absolute()
    versions = place / "export"
    version = find_export(place, versions, overrides)
    if version is None:
        version = export_run(place, versions, overrides=overrides)
        print(f"SavedModel: {version}")
    return version.absolute()


def _place(convert: Callable[[str], Path]) -> Callable[[str], Path | str]:
    """Returns a function that converts paths, and leaves addresses as they are."""

    def place(argument: str) -> Path | str:
        return argument if "://" in argument else convert(argument)

    return place


def _own_place(place: Path | str) -> Path:
    if isinstance(place, str):
        raise ValueError(f"{place}: an address needs --runner; give a folder.")
    return place


def _refuse(options: argparse.Namespace, names: tuple[str, ...], reason: str) -> None:
    """Raises a ValueError if options are given that do not go with the others."""
    given: dict[str, Any] = vars(options)
    for name in names:
        if given[name]:
            raise ValueError(f"{reason} --{name.replace('_', '-')}.")
