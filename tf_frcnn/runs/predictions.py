"""Detections of image files, written as they come: a PNG of each and a list of all."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tf_frcnn.data import ExampleSet, Record
from tf_frcnn.data.checks.progress import with_progress
from tf_frcnn.drawing.boxes import draw_boxes
from tf_frcnn.drawing.comparisons import load_images
from tf_frcnn.evaluation import DetectedBoxes
from tf_frcnn.models import Detector
from tf_frcnn.models.detecting import detect_in_batches
from tf_frcnn.runs.inference import detections_of_image
from tf_frcnn.runs.outputs import require_free, require_writable
from tf_frcnn.runs.result_list import ResultList
from tf_frcnn.runs.safe_files import part_of
from tf_frcnn.runs.writing import write_image

DETECTIONS_FILE = "detections.json"


class ImageResult(NamedTuple):
    """What became of an image.

    Attributes:
        row: of its record.
        found: its detections, best first, boxes in pixels of the file; None if it was
            refused.
        class_names: by label.
        reason: why it was refused.
    """

    row: int
    found: DetectedBoxes | None
    class_names: Sequence[str] = ()
    reason: str = ""


def plan_outputs(
    paths: Sequence[Path], output: Path, *, overwrite: bool = False
) -> dict[str, str]:
    """Returns a PNG's name per image, and makes sure that all can be written.

    Args:
        paths: the images.
        output: folder for the results.
        overwrite: whether files there may be replaced; never one of the images.

    Returns:
        The path of each image -> the name, numbered where images share one.

    Raises:
        ValueError: a PNG would overwrite one of the images.
        OSError: a file exists, or the folder cannot be written.
    """
    names = dict(zip(map(str, paths), _free_names(paths), strict=True))
    sources = {path.resolve() for path in paths}
    for name in names.values():
        for path in (output / name, part_of(output / name)):
            if path.resolve() in sources:
                raise ValueError(
                    f"{path} is one of the given images and would be overwritten; "
                    "choose another folder with --output."
                )
    written = [*names.values(), DETECTIONS_FILE]
    require_free((output / name for name in written), overwrite=overwrite)
    require_writable(output)
    return names


def _free_names(paths: Sequence[Path]) -> Iterator[str]:
    """Yields the name of each image's PNG; names that differ in case alone are one."""
    taken: set[str] = set()
    counts: dict[str, int] = {}
    for path in paths:
        stem, name = path.stem.lower(), f"{path.stem}.png"
        while name.lower() in taken:
            counts[stem] = counts.get(stem, 1) + 1
            name = f"{path.stem}_{counts[stem]}.png"
        taken.add(name.lower())
        yield name


def detect_each(model: Detector, examples: ExampleSet) -> Iterator[ImageResult]:
    """Yields the detections of each image, as soon as its batch is done."""
    batches = model.evaluation_batches(examples)
    for batch, found in detect_in_batches(model, batches.dataset):
        image, slot = np.nonzero(found["valid"])
        columns = (found[name][image, slot] for name in ("boxes", "scores", "labels"))
        own = DetectedBoxes(batch["rows"][image], *columns)
        for row in batch["rows"].tolist():
            yield ImageResult(row, detections_of_image(own, row), model.class_names)


def write_predictions(
    examples: ExampleSet,
    results: Iterable[ImageResult],
    output: Path,
    names: Mapping[str, str],
    min_score: float,
) -> int:
    """Draws and lists detections as they come, and prints the paths of the results.

    The files are whole whenever the program ends. Images that could not be read or were
    refused are in the list, with the reason; they alone make no files.

    Args:
        examples: image files, with the problems of those that could not be read.
        results: of the image files.
        output: folder for the results.
        names: of `plan_outputs`.
        min_score: detections below it are neither drawn nor listed.

    Returns:
        The number of images that were not refused.

    Raises:
        KeyboardInterrupt: the user stopped it; the message says what is there.
    """
    listed = _Listed(examples, output / DETECTIONS_FILE, names)
    total, done = len(examples.records), 0
    shown = with_progress(results, total, "Detecting objects")
    try:
        with contextlib.closing(shown):  # type: ignore[type-var]
            for result in shown:
                record = examples.records[result.row]
                if result.found is None:
                    listed.add({"file": record.source, "error": result.reason})
                    continue
                kept = _from_score(result.found, min_score)
                path = output / names[record.source]
                _draw(examples, result, kept, path)
                listed.add(_as_json(record, kept, result.class_names))
                done += 1
                print(f"{record.source}: {len(kept.scores)} detections -> {path}")
    except KeyboardInterrupt as error:
        kept_in = f"; what is done is in {output}" if done else ""
        message = f"Stopped after {done} of {total} images{kept_in}."
        raise KeyboardInterrupt(message) from error
    finally:
        listed.sort()
    if done:
        print(f"Boxes in pixels of the files: {output / DETECTIONS_FILE}")
    return done


class _Listed:
    """The list of the results, which is begun with the first that is none of failure.

    Args:
        examples: whose unreadable images are the first entries.
        path: of the list.
        names: by whose order it is sorted.
    """

    def __init__(self, examples: ExampleSet, path: Path, names: Mapping[str, str]):
        self._list = ResultList(path)
        self._places = {source: place for place, source in enumerate(names)}
        self._is_begun = False
        self._waiting: list[dict[str, Any]] = [
            {"file": row.file, "error": row.detail}
            for row in examples.problems.rows
            if row.kind == "unreadable_image"
        ]

    def add(self, entry: dict[str, Any]) -> None:
        self._waiting.append(entry)
        self._is_begun |= "error" not in entry
        while self._is_begun and self._waiting:
            first = self._waiting.pop(0)
            # A name that is no text is another one in the table of problems.
            place = self._places.setdefault(first["file"], len(self._places))
            self._list.add(place, first)

    def sort(self) -> None:
        self._list.sort()


def _from_score(found: DetectedBoxes, min_score: float) -> DetectedBoxes:
    return DetectedBoxes(*(column[found.scores >= min_score] for column in found))


def _draw(
    examples: ExampleSet, result: ImageResult, own: DetectedBoxes, path: Path
) -> None:
    """Writes a PNG of an image with its detections."""
    (image,) = load_images(examples, [result.row])
    drawn = draw_boxes(
        image, own.boxes, own.labels, result.class_names, scores=own.scores
    )
    write_image(path, drawn)


def _as_json(record: Record, own: DetectedBoxes, class_names: Sequence[str]) -> dict:
    """Returns one image's entry of the list."""
    return {
        "file": record.source,
        "height": record.height,
        "width": record.width,
        "detections": list_detections(own, class_names),
    }


def list_detections(own: DetectedBoxes, class_names: Sequence[str]) -> list[dict]:
    """Returns one image's detections in the form of the JSON file.

    Args:
        own: boxes in pixels of the upright image.
        class_names: by label.

    Returns:
        In their order, `class`, `score`, and the box as `ymin`, `xmin`, `ymax`, `xmax`.
    """
    return [
        {
            "class": class_names[label],
            "score": round(float(score), 6),
            "ymin": round(float(box[0]), 3),
            "xmin": round(float(box[1]), 3),
            "ymax": round(float(box[2]), 3),
            "xmax": round(float(box[3]), 3),
        }
        for box, score, label in zip(own.boxes, own.scores, own.labels, strict=True)
    ]
