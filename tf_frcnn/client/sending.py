"""Sends images in batches, and takes out those that a server refuses."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tf_frcnn.client.answers import Answer, read_answer
from tf_frcnn.client.errors import RefusedImageError, require_at_least
from tf_frcnn.client.services import Service


class Answers(NamedTuple):
    """The results of the images; each image is in one of the two.

    Attributes:
        found: row -> detections.
        refused: row -> the server's reason.
    """

    found: dict[int, Answer]
    refused: dict[int, str]


def send_images(
    service: Service, paths: Sequence[Path], *, batch_size: int, concurrency: int
) -> Answers:
    """Sends image files to a model.

    One bad image refuses its whole request. It is taken out and the others are sent
    again. Those taken out are sent once more at the end, alone: a server that joins
    requests refuses good images because of a bad one beside them, and counts images
    differently.

    Args:
        service: the model.
        paths: the files.
        batch_size: images per request.
        concurrency: requests at once.

    Raises:
        ServerError: the server returns no detections at all.
    """
    require_at_least(1, batch_size=batch_size, concurrency=concurrency)

    def ask(rows):
        files = [paths[row].read_bytes() for row in rows]
        outputs = service.detect(files)
        return [read_answer(output, service.address) for output in outputs]

    def ask_for_most(rows):
        kept = list(rows)
        suspects: list[int] = []
        while kept:
            try:
                return dict(zip(kept, ask(kept), strict=True)), suspects
            except RefusedImageError as error:
                suspects.append(kept.pop(min(error.index, len(kept) - 1)))
        return {}, suspects

    starts = range(0, len(paths), batch_size)
    batches = [range(len(paths))[start : start + batch_size] for start in starts]
    answers = Answers({}, {})
    with ThreadPoolExecutor(concurrency) as pool:
        parts = list(pool.map(ask_for_most, batches))
    for found, _ in parts:
        answers.found.update(found)
    for row in (row for _, suspects in parts for row in suspects):
        try:
            (answers.found[row],) = ask([row])
        except RefusedImageError as error:
            answers.refused[row] = error.reason
    return answers
