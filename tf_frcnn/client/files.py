"""A server's detections in image files, drawn and listed as by `predict`."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tf_frcnn.client.answers import Answer
from tf_frcnn.client.errors import ServerError
from tf_frcnn.client.sending import send_images
from tf_frcnn.client.services import Service
from tf_frcnn.data import ExampleSet, Problems
from tf_frcnn.data.readers.images import find_images, read_images
from tf_frcnn.evaluation import DetectedBoxes
from tf_frcnn.runs.predictions import output_names, write_predictions


def detect_files(
    service: Service,
    patterns: Sequence[str],
    output: Path,
    min_score: float,
    *,
    batch_size: int = 8,
    concurrency: int = 1,
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

    Raises:
        ServerError: the server returns no detections; the message says why.
    """
    examples = read_images(find_images(patterns))
    examples.problems.print()
    output_names(examples, output)  # Fails early if a file would be overwritten.
    paths = [Path(record.source) for record in examples.records]
    answers = send_images(
        service, paths, batch_size=batch_size, concurrency=concurrency
    )
    problems = Problems()
    for row, reason in answers.refused.items():
        detail = f"the server refuses it: {reason}"
        problems.add("unreadable_image", str(paths[row]), detail)
    problems.print()
    if not answers.found:
        raise ServerError(
            f"{service.address}: none of the {len(paths)} images was accepted."
        )
    rows = sorted(answers.found)
    found = [answers.found[row] for row in rows]
    examples = replace(examples.subset(rows), class_names=_class_names(found))
    write_predictions(examples, _in_pixels(examples, found), output, min_score)


def _class_names(answers: Iterable[Answer]):
    """Returns the names by label; a class without detections has none."""
    names: dict[int, str] = {}
    for answer in answers:
        for label, name in zip(answer.labels.tolist(), answer.names, strict=True):
            if names.setdefault(label, name) != name:
                raise ServerError(
                    f"Class {label + 1} is called {names[label]!r} in one answer and "
                    f"{name!r} in another: the server changed its model in between. "
                    "Choose one with --version."
                )
    return tuple(names.get(label, "") for label in range(max(names, default=-1) + 1))


def _in_pixels(examples: ExampleSet, answers: Sequence[Answer]) -> DetectedBoxes:
    """Returns all detections, boxes in pixels of the upright images."""
    sides = [np.tile([r.height, r.width], 2) for r in examples.records]
    boxes = [a.boxes * size for a, size in zip(answers, sides, strict=True)]
    counts = [len(answer.scores) for answer in answers]
    return DetectedBoxes(
        image_index=np.repeat(np.arange(len(answers)), counts),
        boxes=np.concatenate(boxes),
        scores=np.concatenate([answer.scores for answer in answers]),
        labels=np.concatenate([answer.labels for answer in answers]),
    )
