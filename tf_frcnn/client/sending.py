"""Sends images in batches, and takes out those that a server refuses."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tf_frcnn.client.answers import Answer, read_answer
from tf_frcnn.client.errors import RefusedImageError, require_at_least
from tf_frcnn.client.services import Service


class Refusal(NamedTuple):
    """An image that the server does not take.

    Attributes:
        reason: in the server's words.
    """

    reason: str


def send_images(
    service: Service, paths: Sequence[Path], *, batch_size: int, concurrency: int
) -> Iterator[tuple[int, Answer | Refusal]]:
    """Sends image files to a model; yields the row and the result of each as it comes.

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
    starts = range(0, len(paths), batch_size)
    batches = [range(len(paths))[start : start + batch_size] for start in starts]
    return _results(service, paths, batches, concurrency)


def _results(service, paths, batches, concurrency):
    """Yields the results; see `send_images`."""

    def ask(rows):
        files = [paths[row].read_bytes() for row in rows]
        outputs = service.detect(files)
        return [read_answer(output, service.address) for output in outputs]

    def ask_for_most(rows):
        kept = list(rows)
        suspects: list[int] = []
        while kept:
            try:
                return zip(kept, ask(kept), strict=True), suspects
            except RefusedImageError as error:
                suspects.append(kept.pop(min(error.index, len(kept) - 1)))
        return (), suspects

    suspects: list[int] = []
    pool = ThreadPoolExecutor(concurrency)
    try:
        for found, own in pool.map(ask_for_most, batches):
            suspects += own
            yield from found
    finally:
        pool.shutdown(cancel_futures=True)
    for row in suspects:
        try:
            (answer,) = ask([row])
        except RefusedImageError as error:
            yield row, Refusal(error.reason)
        else:
            yield row, answer
