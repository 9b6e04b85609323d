"""The mAP with other settings of the detections, which need no network."""

from typing import Any, NamedTuple

from tf_frcnn.evaluation import evaluate_voc
from tf_frcnn.report.observing import Observed


class Trial(NamedTuple):
    """A setting that was tried.

    Attributes:
        setting: SECTION.NAME=VALUE.
        name: of the setting in its section.
        value: of the setting.
        mean: the mAP with it.
    """

    setting: str
    name: str
    value: float | str
    mean: float


class Trials(NamedTuple):
    """What other settings would give.

    Attributes:
        mean: the mAP of the run's own.
        nms_iou: the run's own limit of the final suppression.
        rows: the trials.
    """

    mean: float
    nms_iou: float
    rows: list[Trial]

    def best(self, name: str) -> Trial:
        """Returns the trial of a setting with the highest mAP."""
        return max((t for t in self.rows if t.name == name), key=lambda t: t.mean)

    def gain(self, name: str) -> float:
        """Returns by how much that one raises the mAP; 0 if none was tried."""
        is_tried = any(trial.name == name for trial in self.rows)
        return self.best(name).mean - self.mean if is_tried else 0.0


def trials_of(
    seen: Observed, nms_iou: float, num_classes: int, **metric: Any
) -> Trials:
    """Measures what other settings of the detections would give.

    Args:
        seen: the data set.
        nms_iou: the limit of the final suppression that its detections had.
        num_classes: K.
        **metric: keyword arguments of `evaluate_voc`.
    """

    def mean(found: Any) -> float:
        return evaluate_voc(seen.truth, found, num_classes, **metric).mean

    rows = [
        Trial(f"detections.{name}={str(value).lower()}", name, value, mean(found))
        for (name, value), found in seen.trials.items()
    ]
    return Trials(mean(seen.found), nms_iou, rows)
