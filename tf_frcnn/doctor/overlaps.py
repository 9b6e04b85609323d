"""The suppression that leaves a data set's overlapping objects standing."""

from collections.abc import Collection, Sequence

import numpy as np

from tf_frcnn.config import Config
from tf_frcnn.data.examples import Record
from tf_frcnn.doctor.training import Choice
from tf_frcnn.evaluation.overlaps import paired_iou

# Thresholds that may be chosen, the share of a class that may overlap more, and a
# number of objects from which such a share says something.
_THRESHOLDS = (0.4, 0.5, 0.6, 0.7)
_LOST, _FEWEST = 0.05, 10
_ROWS_AT_ONCE = 256
_PATH = "detections.nms_iou"


def overlap_choices(
    records: Sequence[Record],
    class_names: Sequence[str],
    config: Config,
    keep: Collection[str] = (),
) -> list[Choice]:
    """Returns the least IoU of suppression that costs no class over 5 % of its objects.

    Of two objects of a class that overlap more than `detections.nms_iou` one is taken
    for a second detection of the other, however well both are found. The threshold is
    never lowered, and stays where no larger one will do, or fewer than ten objects
    overlap. A larger one leaves more boxes on single objects, too, which costs rare
    classes precision; so it has to be worth it, see docs/measurements.md.

    Args:
        records: of the training split.
        class_names: of the K classes.
        config: with the threshold.
        keep: dotted paths of settings that stay as they are.
    """
    if _PATH in keep:
        return []
    own = config.detections.nms_iou
    overlaps = [
        o if np.sum(o > own) >= _FEWEST else o[:0]
        for o in overlaps_in_class(records, len(class_names))
    ]
    lost = lost_shares(overlaps, own)
    fitting = [
        t for t in _THRESHOLDS if t > own and lost_shares(overlaps, t).max() <= _LOST
    ]
    if lost.max() <= _LOST or not fitting:
        return []
    chosen = fitting[0]
    worst = int(np.argmax(lost))
    reason = (
        f"{lost[worst]:.1%} of the {class_names[worst]} objects overlap another by an "
        f"IoU above {own:g}, of which suppression leaves one; above {chosen:g} it is "
        f"{lost_shares(overlaps, chosen)[worst]:.1%}."
    )
    return [Choice({_PATH: chosen}, reason)]


def overlaps_in_class(
    records: Sequence[Record], num_classes: int
) -> tuple[np.ndarray, ...]:
    """Returns each object's largest IoU with another one of its class and image.

    Returns:
        K arrays float64 [objects of the class]; 0 for an object alone. Crowd regions
        are left out.
    """
    parts: list[list[np.ndarray]] = [[np.zeros(0)] for _ in range(num_classes)]
    for record in records:
        for label in np.unique(record.labels[~record.crowd]):
            boxes = record.boxes[(record.labels == label) & ~record.crowd]
            boxes = boxes.astype(np.float64)
            for start in range(0, len(boxes), _ROWS_AT_ONCE):
                rows = np.arange(start, min(start + _ROWS_AT_ONCE, len(boxes)))
                overlaps = paired_iou(boxes[rows, np.newaxis], boxes)
                overlaps[rows - start, rows] = 0.0
                parts[label].append(overlaps.max(axis=1))
    return tuple(map(np.concatenate, parts))


def lost_shares(overlaps: Sequence[np.ndarray], threshold: float) -> np.ndarray:
    """Returns float64 [K], the share of each class that overlaps by more than that."""
    return np.array([np.mean(own > threshold) if len(own) else 0 for own in overlaps])
