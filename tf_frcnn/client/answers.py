"""A server's answer for one image, checked."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from tf_frcnn.client.errors import ServerError, printable

# Shares of the image's sides; boxes may be unclipped.
_FAR = 100.0
_OUTPUTS = (
    "detection_boxes",
    "detection_scores",
    "detection_classes",
    "detection_class_names",
    "num_detections",
)


class Answer(NamedTuple):
    """The n detections of an image, without padded rows.

    Attributes:
        boxes: float32 [n, 4], (ymin, xmin, ymax, xmax) as shares of the upright image's
            height and width.
        scores: float32 [n].
        labels: int64 [n]; the first class is 0.
        names: n names, the class of each detection.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]


def read_answer(outputs: Any, address: str) -> Answer:
    """Checks the outputs of an exported model for one image.

    Args:
        outputs: name -> array or list without the batch's axis; see
            `export.signatures`.
        address: of the model, for messages.

    Raises:
        ServerError: an output is missing or malformed, or a score or a box makes no
            sense.
    """
    names = outputs if isinstance(outputs, Mapping) else ()
    lacking = [name for name in _OUTPUTS if name not in names]
    if lacking:
        raise ServerError(
            f"{address}: the answer lacks {', '.join(lacking)}; tf-frcnn "
            "did not export this model."
        )
    try:
        return _detections(*(outputs[name] for name in _OUTPUTS))
    except (ValueError, TypeError, IndexError, OverflowError) as error:
        raise ServerError(f"{address}: the answer is malformed: {error}") from error


def _detections(boxes, scores, classes, names, count):
    count = int(count)
    boxes, scores, classes = (
        np.asarray(output, np.float32)[:count] for output in (boxes, scores, classes)
    )
    texts = (n.decode() if isinstance(n, bytes) else str(n) for n in names[:count])
    names = tuple(map(printable, texts))
    shapes = [boxes.shape, scores.shape, classes.shape, (len(names),)]
    if shapes != [(count, 4), (count,), (count,), (count,)]:
        raise ValueError(f"{count} detections, but shapes {shapes}.")
    if not all(np.isfinite(column).all() for column in (boxes, scores, classes)):
        raise ValueError("some numbers are not finite.")
    if not ((classes >= 1) & (classes < 2**24) & (classes % 1 == 0)).all():
        raise ValueError(f"detection_classes {classes.tolist()} must be whole, from 1.")
    if not ((scores >= 0) & (scores <= 1)).all():
        raise ValueError("some detection_scores lie outside of 0..1.")
    if not (np.abs(boxes) <= _FAR).all():
        raise ValueError("some detection_boxes lie far outside of the image.")
    return Answer(boxes, scores, classes.astype(np.int64) - 1, names)
