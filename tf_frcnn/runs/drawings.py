"""Drawings of listed images, made in threads while others are detected."""

from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import numpy as np

from tf_frcnn.data.readers.images import UnreadableImageError, load_image
from tf_frcnn.drawing.boxes import draw_boxes
from tf_frcnn.runs.writing import write_image

_THREADS = 4
_MOST_WAITING = 2 * _THREADS


class Drawings:
    """Draws the entries of a list, as `with Drawings(folder, names) as drawings`.

    A drawing appears whole, after its entry is listed; at the end all are there.

    Args:
        folder: that the names are relative to.
        names: by image, of `plan_drawings`; images without one are not drawn.
    """

    def __init__(self, folder: Path, names: Mapping[str, str]):
        self.folder, self.names = folder, names
        self._pool = ThreadPoolExecutor(_THREADS)
        self._waiting: deque[Future] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error) -> None:
        self._pool.shutdown()
        if error[0] is None:
            self._wait_for(0)

    def add(self, entry: dict[str, Any], class_names: Sequence[str]) -> None:
        """Draws an entry, if it has a drawing; waits while many others are waiting.

        Args:
            entry: of the list.
            class_names: by label, for the colours.

        Raises:
            OSError: a drawing could not be written.
        """
        if "drawing" in entry:
            self._wait_for(_MOST_WAITING - 1)
            future = self._pool.submit(_draw, entry, class_names, self.folder)
            self._waiting.append(future)

    def _wait_for(self, count: int) -> None:
        while len(self._waiting) > count:
            self._waiting.popleft().result()


def _draw(entry: dict[str, Any], class_names: Sequence[str], folder: Path) -> None:
    """Writes the drawing of an entry; says so if the image cannot be drawn."""
    path = folder / entry["drawing"]
    try:
        image = load_image(Path(entry["file"]))
        write_image(path, draw_entry(image, entry["detections"], class_names))
    except (UnreadableImageError, OSError) as error:
        # The system's errors, such as a full disk, have a number.
        if getattr(error, "errno", None) is not None:
            raise
        print(f"{entry['file']}: it could not be drawn: {error}")


def draw_entry(
    image: np.ndarray, found: Sequence[dict[str, Any]], class_names: Sequence[str]
) -> np.ndarray:
    """Returns an image with the detections of its entry, uint8 [h, w, 3].

    Args:
        image: uint8 [h, w, 3], RGB.
        found: `detections` of the entry.
        class_names: by label, for the colours.
    """
    sides = [[own[s] for s in ("ymin", "xmin", "ymax", "xmax")] for own in found]
    return draw_boxes(
        image,
        np.array(sides).reshape(-1, 4),
        np.array([class_names.index(own["class"]) for own in found], int),
        class_names,
        scores=np.array([own["score"] for own in found]),
    )
