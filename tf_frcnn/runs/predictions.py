"""Detections in image files, listed and drawn as they come."""

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import tensorflow as tf

from tf_frcnn.data import Problems
from tf_frcnn.data.checks.images import (
    ImageFacts,
    is_usable,
    read_checked,
    room_for_pixels,
)
from tf_frcnn.data.checks.parallel import in_order
from tf_frcnn.data.checks.progress import with_progress
from tf_frcnn.data.checks.regular_files import read_regular_file
from tf_frcnn.data.decoding.file_to_canvas import canvas_reader
from tf_frcnn.data.decoding.foreign import UnreadableImageError
from tf_frcnn.data.decoding.pictures import ImageError
from tf_frcnn.data.decoding.transforms import decode_image
from tf_frcnn.evaluation import DetectedBoxes
from tf_frcnn.models.detecting import (
    CanvasGroups,
    Found,
    detect_in_members,
    found_of,
)
from tf_frcnn.models.errors import readable_errors
from tf_frcnn.runs.drawings import Drawings
from tf_frcnn.runs.result_lines import ResultLines

# Images on their canvases that may be in memory; of 600 x 1000 pixels 7 MB each.
_AHEAD, _MOST_WAITING = 16, 32
# Whole images that are decoded ahead, to be cut into tiles.
_WHOLE_AHEAD = 2
# With more images no line is printed for each.
_MOST_PRINTED = 100


class BatchDetector(Protocol):
    """Something that detects objects in batches: a model, or an exported one."""

    @property
    def settings(self) -> Any:
        """The configuration."""

    @property
    def resizing(self) -> Any:
        """How images are brought to the network's size, `Resizing`."""

    class_names: Any

    def predict_on_batch(self, batch: Any) -> Any:
        """Returns `Detections` as a dict of arrays."""

    def detect_in_tiles(self, image: Any) -> Any:
        """Returns the `Detections` of one image, uint8 [h, w, 3], as a dict of arrays.

        With `settings.tiles.size` it is called instead of the other.
        """


class ImageResult(NamedTuple):
    """What became of an image.

    Attributes:
        file: its path.
        found: its objects, best first, boxes in pixels of the upright image; None if it
            was refused.
        class_names: by label, as far as they are known.
        reason: why it was refused.
    """

    file: str
    found: Found | None
    class_names: Sequence[str] = ()
    reason: str = ""


def _read_file(file: str) -> bytes:
    return read_regular_file(Path(file))


def detect_each(
    model: BatchDetector,
    files: Sequence[str],
    problems: Problems,
    batch_size: int | None = None,
    *,
    read_file: Callable[[str], bytes] = _read_file,
) -> Iterator[ImageResult]:
    """Yields what becomes of each file, as soon as its batch is done.

    Files are read once, in threads, a few ahead of those in which objects are detected.
    Images of one canvas share a batch, so the order is not that of the files; those
    that are cut into tiles come one by one.

    Args:
        model: the detector.
        files: paths of images.
        problems: counts those that cannot be read, and those that are all but black.
        batch_size: most images per batch; None for the recipe's number.
        read_file: returns the bytes of a file, in threads; an OSError is the reason why
            a file is not read.
    """
    batch_size = batch_size or model.settings.data.batch_size
    has_tiles = model.settings.tiles.size is not None
    decode = _decoded if has_tiles else canvas_reader(model.resizing)
    ahead = _WHOLE_AHEAD if has_tiles else max(_AHEAD, 2 * batch_size)
    groups = CanvasGroups(batch_size, max(_MOST_WAITING, 2 * batch_size))

    def read(file: str) -> tuple[ImageFacts, Any] | UnreadableImageError:
        try:
            data, facts = read_checked(file, read_file)
            with room_for_pixels(facts):
                return facts, decode(data, facts.orientation)
        except UnreadableImageError as error:
            return error

    def results(members: Sequence) -> Iterator[ImageResult]:
        found = detect_in_members(model.predict_on_batch, members, model.class_names)
        for file, own in found:
            yield ImageResult(file, own, model.class_names)

    contents = in_order(read, files, ahead=ahead)
    with contextlib.closing(contents), readable_errors():  # type: ignore[type-var]
        for file, content in zip(files, contents, strict=True):
            if isinstance(content, UnreadableImageError):
                is_usable(content, file, problems)
                yield ImageResult(file, None, reason=str(content))
                continue
            facts, example = content
            is_usable(facts, file, problems)
            if has_tiles:
                try:
                    found = model.detect_in_tiles(example)
                except ImageError as error:
                    is_usable(UnreadableImageError(str(error)), file, problems)
                    yield ImageResult(file, None, reason=str(error))
                    continue
                own = found_of(found, found["file_sizes"], model.class_names)
                yield ImageResult(file, own, model.class_names)
                continue
            for members in groups.add(file, example):
                yield from results(members)
        for members in groups.rest():
            yield from results(members)


def _decoded(data: bytes, orientation: int) -> tf.Tensor:
    """Returns an image of any size upright, uint8 [h, w, 3]."""
    try:
        return decode_image(tf.constant(data), tf.constant(orientation))
    except tf.errors.InvalidArgumentError as error:
        reason = f"it is damaged or cut off ({error.message})"
        raise UnreadableImageError(reason) from error


def write_predictions(
    results: Iterable[ImageResult],
    lines: ResultLines,
    drawings: Drawings,
    min_score: float,
    total: int,
) -> int:
    """Lists and draws detections as they come; of few images it prints a line each.

    Images that could not be read or were refused are in the list, with the reason.

    Args:
        results: of `total` images.
        lines: the list.
        drawings: what draws the images that have a drawing.
        min_score: detections below it are neither listed nor drawn.
        total: number of images.

    Returns:
        The number of images that were not refused.

    Raises:
        KeyboardInterrupt: the user stopped it; the message says what is there.
    """
    listed = done = 0
    shown = with_progress(results, total, "Detecting objects")
    try:
        with contextlib.closing(shown):  # type: ignore[type-var]
            for result in shown:
                entry = entry_of(result, min_score)
                if result.found is not None and result.file in drawings.names:
                    entry["drawing"] = drawings.names[result.file]
                lines.add(entry)
                drawings.add(entry, result.class_names)
                listed, done = listed + 1, done + (result.found is not None)
                if result.found is not None and total <= _MOST_PRINTED:
                    _print(entry, drawings.folder)
    except KeyboardInterrupt as error:
        kept_in = f"; what is done is in {lines.path}" if listed else ""
        message = f"Stopped after {listed} of {total} images{kept_in}."
        raise KeyboardInterrupt(message) from error
    return done


def entry_of(result: ImageResult, min_score: float) -> dict[str, Any]:
    """Returns an image's entry of the list, without detections below a score."""
    if result.found is None:
        return {"file": result.file, "error": result.reason}
    height, width = result.found.size
    own = _from_score(result.found, min_score)
    return {
        "file": result.file,
        "height": height,
        "width": width,
        "detections": list_detections(own, result.class_names),
    }


def _from_score(found: Found, min_score: float) -> Found:
    keep = found.scores >= min_score
    return found._replace(
        names=tuple(itertools.compress(found.names, keep)),
        scores=found.scores[keep],
        boxes=found.boxes[keep],
        labels=found.labels[keep],
    )


def _print(entry: dict[str, Any], folder: Path) -> None:
    drawn = f" -> {folder / entry['drawing']}" if "drawing" in entry else ""
    print(f"{entry['file']}: {len(entry['detections'])} detections{drawn}")


def list_detections(
    own: DetectedBoxes | Found, class_names: Sequence[str]
) -> list[dict]:
    """Returns one image's detections in the form of the list.

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
