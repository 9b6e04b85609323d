"""A server's detections in image files, drawn and listed as by `predict`."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from tf_frcnn.client.answers import Answer
from tf_frcnn.client.errors import ServerError
from tf_frcnn.client.sending import Refusal, send_images
from tf_frcnn.client.services import Service
from tf_frcnn.data import ExampleSet, Problems, Record
from tf_frcnn.data.readers.images import find_images, print_skipped, read_images
from tf_frcnn.evaluation import DetectedBoxes
from tf_frcnn.runs.predictions import ImageResult, plan_outputs, write_predictions


def detect_files(
    service: Service,
    patterns: Sequence[str],
    output: Path,
    min_score: float,
    *,
    batch_size: int = 8,
    concurrency: int = 1,
    overwrite: bool = False,
) -> None:
    """Lets a server detect objects in files; writes a PNG of each and detections.json.

    Files that cannot be read and those that the server refuses are left out and listed.

    Args:
        service: the model.
        patterns: files, folders or glob patterns.
        output: folder for the results.
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
    names = plan_outputs(paths, output, overwrite=overwrite)
    print_skipped(patterns)
    examples = read_images(paths)
    examples.problems.print()
    paths = [Path(record.source) for record in examples.records]
    answers = send_images(
        service, paths, batch_size=batch_size, concurrency=concurrency
    )
    problems = Problems()
    results = _results(examples, answers, problems)
    count = write_predictions(examples, results, output, names, min_score)
    problems.print()
    if not count:
        raise ServerError(
            f"{service.address}: none of the {len(paths)} images was accepted."
        )


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
            yield ImageResult(row, None, reason=reason)
        else:
            _learn_names(names, answer)
            listed = tuple(names.get(n, "") for n in range(max(names, default=-1) + 1))
            yield ImageResult(row, _in_pixels(record, answer), listed)


def _learn_names(names: dict[int, str], answer: Answer) -> None:
    """Adds the class names of an answer, by label, to those of the others."""
    for label, name in zip(answer.labels.tolist(), answer.names, strict=True):
        if names.setdefault(label, name) != name:
            raise ServerError(
                f"Class {label + 1} is called {names[label]!r} in one answer and "
                f"{name!r} in another: the server changed its model in between. "
                "Choose one with --version."
            )


def _in_pixels(record: Record, answer: Answer) -> DetectedBoxes:
    """Returns an image's detections, best first, boxes in pixels of the upright one."""
    order = np.argsort(-answer.scores, kind="stable")
    size = np.tile([record.height, record.width], 2)
    return DetectedBoxes(
        image_index=np.zeros(len(order), np.int64),
        boxes=answer.boxes[order] * size,
        scores=answer.scores[order],
        labels=answer.labels[order],
    )
