"""The whole of `tf-frcnn predict`: from files to a list that a second start goes on."""

import os
from collections.abc import Collection, Sequence
from pathlib import Path

from tf_frcnn.config import load_config
from tf_frcnn.data import DataError, Problems
from tf_frcnn.data.readers.images import find_images, listed_images, print_skipped
from tf_frcnn.models import Detector
from tf_frcnn.runs import predictions
from tf_frcnn.runs.best_scores import BestScore
from tf_frcnn.runs.coco_results import CocoIds, write_coco_results
from tf_frcnn.runs.drawings import Drawings
from tf_frcnn.runs.full_lists import FullLists
from tf_frcnn.runs.inference import load_detector, shown_from
from tf_frcnn.runs.outputs import require_writable
from tf_frcnn.runs.prediction_outputs import Outputs, claimed_list, plan_drawings
from tf_frcnn.runs.predictions import write_predictions
from tf_frcnn.runs.result_lines import ResultLines
from tf_frcnn.runs.safe_files import part_of
from tf_frcnn.runs.settings_files import run_classes, run_config
from tf_frcnn.runs.unfinished_predictions import (
    Listed,
    begin,
    draw_missing,
    read_listed,
    settings_of,
)


def predict_files(
    directory: Path,
    patterns: Sequence[str | Path],
    outputs: Outputs,
    *,
    lists: Sequence[str | Path] = (),
    min_score: float | None = None,
    batch_size: int | None = None,
    coco: Path | None = None,
    coco_ids: Path | None = None,
    overwrite: bool = False,
    overrides: Sequence[str] = (),
) -> None:
    """Detects objects in files; lists them as they come, and draws each image.

    A list that a program before this one began is gone on with.

    Args:
        directory: the run folder.
        patterns: files, folders or glob patterns.
        outputs: where the results go.
        lists: text files with the path of an image a line.
        min_score: detections below it are neither drawn nor listed; None for 0.5, or
            for 0 where the run has thresholds of its classes.
        batch_size: most images per batch; None for the run's number.
        coco: file for the results in COCO's form; None for none.
        coco_ids: COCO's file that has the ids for it; see `coco_results.CocoIds`.
        overwrite: whether to start again and replace files; never an image given.
        overrides: settings that replace those of the run.

    Raises:
        OSError: a result exists, or cannot be written; nothing was computed.
        ValueError: the list was begun with other weights or settings, or none of the
            images can be read.
    """
    config = load_config(run_config(directory), overrides)
    min_score = shown_from(config) if min_score is None else min_score
    files = _own_part(patterns, lists, outputs)
    settings = settings_of(directory, min_score, outputs, overrides)
    ids = _coco_ids(directory, coco, coco_ids, overwrite=overwrite)
    with claimed_list(outputs):
        listed = Listed() if overwrite else read_listed(outputs, settings)
        files = _without_drawings(files, outputs, listed.drawings)
        rest = [file for file in files if file not in listed.files]
        if ids is not None:
            ids.require_own([*listed.files, *rest])
        names = plan_drawings(
            rest,
            outputs,
            overwrite=overwrite,
            taken=listed.drawings,
            begun=listed.begun,
        )
        _print_listed(len(files) - len(rest), len(files), outputs)
        run = load_detector(directory, overrides) if rest else None
        if listed.begun is None:
            begin(outputs, settings)
        with Drawings(outputs.folder, names) as drawings:
            if outputs.picture_format is not None:
                draw_missing(outputs, drawings, run_classes(directory))
            if run is not None:
                _detect(run.model, rest, outputs, drawings, min_score, batch_size)
        if ids is not None and coco is not None:
            count = write_coco_results(outputs.lines, ids, coco)
            print(f"{count} detections in COCO's form: {coco}")


def _detect(
    model: Detector,
    files: Sequence[str],
    outputs: Outputs,
    drawings: Drawings,
    min_score: float,
    batch_size: int | None,
) -> None:
    """Lists and draws what is in the files; prints which of them cannot be read."""
    problems = Problems()
    full, best = FullLists(model.settings, min_score), BestScore(min_score)
    found = predictions.detect_each(model, files, problems, batch_size)
    found = best.noted(full.noted(found))
    with ResultLines(outputs.lines, append=True) as lines:
        done = write_predictions(found, lines, drawings, min_score, len(files))
    problems.print()
    if not done:
        raise DataError(
            f"None of the {len(files)} images is readable; {outputs.lines} has the "
            "reasons."
        )
    full.report()
    best.report()
    print(f"Boxes in pixels of the files: {outputs.lines}")


def _own_part(
    patterns: Sequence[str | Path], lists: Sequence[str | Path], outputs: Outputs
) -> list[str]:
    """Returns the files of patterns and lists, or those that are the shard's."""
    listed = (path for file in lists for path in listed_images(Path(file)))
    found = dict.fromkeys([*find_images(patterns), *listed])
    files = [str(path) for path in found]
    print_skipped(patterns)
    if outputs.shard is None:
        return files
    own = outputs.shard.select(files)
    print(f"Part {outputs.shard.words}: {len(own)} of the {len(files)} images.")
    return own


def _coco_ids(
    directory: Path, coco: Path | None, annotations: Path | None, *, overwrite: bool
) -> CocoIds | None:
    """Returns the ids for COCO's results, and makes sure that these can be written."""
    if coco is None:
        if annotations is not None:
            raise ValueError(
                "--coco-ids needs --coco FILE, the file that is to be written."
            )
        return None
    if coco.exists() and not overwrite:
        raise FileExistsError(
            f"{coco} exists already; name another file with --coco, or remove it."
        )
    require_writable(coco.parent)
    return CocoIds(run_classes(directory), annotations)


def _without_drawings(
    files: list[str], outputs: Outputs, drawings: Collection[str]
) -> list[str]:
    """Leaves out drawings of an earlier part, where they lie among the images."""
    if not drawings:
        return files
    paths = [outputs.folder / name for name in drawings]
    own = {os.path.abspath(place) for path in paths for place in (path, part_of(path))}
    return [file for file in files if os.path.abspath(file) not in own]


def _print_listed(count: int, total: int, outputs: Outputs) -> None:
    if count:
        print(
            f"{count} of the {total} images are in {outputs.lines} already, and are "
            "skipped."
        )
