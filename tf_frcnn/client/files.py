"""A server's detections in image files, drawn and listed as by `predict`."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from tf_frcnn.client.answers import Answer
from tf_frcnn.client.errors import ServerError
from tf_frcnn.client.sending import Refusal, send_images
from tf_frcnn.client.services import Service
from tf_frcnn.data import ExampleSet, Problems, Record
from tf_frcnn.data.readers.images import find_images, print_skipped, read_images
from tf_frcnn.models.detecting import Found
from tf_frcnn.runs.drawings import Drawings
from tf_frcnn.runs.outputs import require_free, require_writable
from tf_frcnn.runs.prediction_outputs import Outputs, plan_drawings
from tf_frcnn.runs.predictions import ImageResult, write_predictions
from tf_frcnn.runs.result_lines import ResultLines


def detect_files(
    service: Service,
    patterns: Sequence[str],
    outputs: Outputs,
    min_score: float,
    *,
    batch_size: int = 8,
    concurrency: int = 1,
    overwrite: bool = False,
) -> None:
    """Lets a server detect objects in files; lists them, and draws each image.

    Files that cannot be read and those that the server refuses are left out and listed.

    Args:
        service: the model.
        patterns: files, folders or glob patterns.
        outputs: where the results go.
        min_score: detections below it are neither drawn nor listed.
        batch_size: images per request.
        concurrency: requests at once.
        overwrite: whether files in that folder may be replaced; never an image given.

    Raises:
        ServerError: the server returns no detections; the message says why. Those that
            it returned before are there.
        OSError: a result exists, or cannot be written; nothing was sent.
    """
    paths = find_images(patterns)
    require_writable(outputs.folder)
    require_free([outputs.lines], overwrite=overwrite)
    names = plan_drawings([*map(str, paths)], outputs, overwrite=overwrite)
    print_skipped(patterns)
    examples = read_images(paths)
    examples.problems.print()
    paths = [Path(record.source) for record in examples.records]
    answers = send_images(
        service, paths, batch_size=batch_size, concurrency=concurrency
    )
    problems = Problems()
    results = itertools.chain(
        _unreadable(examples.problems), _results(examples, answers, problems)
    )
    total = len(paths) + len(examples.problems.files("unreadable_image"))
    with ResultLines(outputs.lines) as lines, Drawings(outputs.folder, names) as drawn:
        count = write_predictions(
            _from_first_found(results, outputs), lines, drawn, min_score, total
        )
    problems.print()
    if not count:
        raise ServerError(
            f"{service.address}: none of the {len(paths)} images was accepted."
        )


def _unreadable(problems: Problems) -> Iterator[ImageResult]:
    for row in problems.rows:
        if row.kind == "unreadable_image":
            yield ImageResult(row.file, None, reason=row.detail)


def _from_first_found(
    results: Iterable[ImageResult], outputs: Outputs
) -> Iterator[ImageResult]:
    """Holds images back until one is accepted, so that failures alone make no file."""
    held: list[ImageResult] = []
    is_begun = False
    for result in results:
        held.append(result)
        if not is_begun and result.found is not None:
            is_begun = True
            # Of a list of `predict`, which goes.
            outputs.settings.unlink(missing_ok=True)
        if is_begun:
            yield from held
            held.clear()


def _results(
    examples: ExampleSet,
    answers: Iterable[tuple[int, Answer | Refusal]],
    problems: Problems,
) -> Iterator[ImageResult]:
    """Yields what became of each image; those that are refused become problems."""
    names: dict[int, str] = {}
    for row, answer in answers:
        record = examples.records[row]
        if isinstance(answer, Refusal):
            reason = f"the server refuses it: {answer.reason}"
            problems.add("unreadable_image", record.source, reason)
            yield ImageResult(record.source, None, reason=reason)
        else:
            _learn_names(names, answer)
            listed = tuple(names.get(n, "") for n in range(max(names, default=-1) + 1))
            yield ImageResult(record.source, _in_pixels(record, answer), listed)


def _learn_names(names: dict[int, str], answer: Answer) -> None:
    """Adds the class names of an answer, by label, to those of the others."""
    for label, name in zip(answer.labels.tolist(), answer.names, strict=True):
        if names.setdefault(label, name) != name:
            raise ServerError(
                f"Class {label + 1} is called {names[label]!r} in one answer and "
                f"{name!r} in another: the server changed its model in between. "
                "Choose one with --version."
            )


def _in_pixels(record: Record, answer: Answer) -> Found:
    """Returns an image's objects, boxes in pixels of the upright one."""
    order = np.argsort(-answer.scores, kind="stable")
    return Found(
        names=tuple(answer.names[row] for row in order),
        scores=answer.scores[order],
        boxes=answer.boxes[order] * np.tile([record.height, record.width], 2),
        labels=answer.labels[order],
        size=(record.height, record.width),
    )
