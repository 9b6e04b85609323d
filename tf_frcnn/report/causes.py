"""Why the mAP is below 1: the causes, how often each occurs, and what each costs."""

from typing import Any, NamedTuple

import numpy as np

from tf_frcnn.evaluation import DetectedBoxes, GroundTruth
from tf_frcnn.evaluation.false_alarms import KINDS, FalseAlarms
from tf_frcnn.evaluation.misses import STAGES
from tf_frcnn.evaluation.oracles import cost_of_false_alarms, cost_of_misses
from tf_frcnn.report.observing import Observed

MISS, FALSE_ALARM = "miss", "false alarm"
TITLES = {
    (MISS, "anchor"): "no anchor reached them",
    (MISS, "rpn_box"): "the RPN moved its boxes away from them",
    (MISS, "min_size"): "their boxes were narrower than min_size",
    (MISS, "rpn_rank"): "the RPN ranked them below the cut",
    (MISS, "rpn_nms"): "the RPN's suppression took them",
    (MISS, "rpn_count"): "they were not among the proposals that are kept",
    (MISS, "background"): "the RoI head called them background",
    (MISS, "class"): "the RoI head called them another class",
    (MISS, "box"): "the class is right, the box is off",
    (MISS, "score"): "their scores are under the threshold",
    (MISS, "nms"): "the final suppression took them",
    (MISS, "count"): "their image has more detections than are kept",
    (FALSE_ALARM, "duplicate"): "second detections of an object",
    (FALSE_ALARM, "class"): "on an object of another class",
    (FALSE_ALARM, "box"): "beside an object of its class",
    (FALSE_ALARM, "class_and_box"): "beside an object of another class",
    (FALSE_ALARM, "background"): "on background, or on an object that nobody marked",
}


class Cause(NamedTuple):
    """A reason for misses or false alarms.

    Attributes:
        group: `MISS` or `FALSE_ALARM`.
        name: a stage of `evaluation.misses`, or a kind of `evaluation.false_alarms`.
        cost: by how much the mAP would rise without it; see `evaluation.oracles`.
        rows: int64 [n], of the objects or of the detections, the worst first: the
            largest objects, the detections of the highest scores.
        labels: int64 [n], their classes.
        others: int64 [n], the class of the object that a detection lies on or beside,
            -1 for none; the class itself with misses.
        sides: float64 [n], roots of the areas of the objects or detections, in network
            pixels.
    """

    group: str
    name: str
    cost: float
    rows: np.ndarray
    labels: np.ndarray
    others: np.ndarray
    sides: np.ndarray

    @property
    def title(self) -> str:
        """The cause in a few words."""
        return TITLES[self.group, self.name]

    def by_class(self, class_names: tuple[str, ...]) -> dict[str, int]:
        """Returns class -> number, the most first."""
        numbers = np.bincount(self.labels, minlength=len(class_names))
        order = np.argsort(-numbers, kind="stable")
        return {class_names[n]: int(numbers[n]) for n in order if numbers[n]}

    def pairs(self, class_names: tuple[str, ...]) -> dict[tuple[str, str], int]:
        """Returns (class of the object, of the detection) -> number, the most first."""
        known = self.others >= 0
        pairs = np.stack([self.others[known], self.labels[known]], axis=1)
        unique, numbers = np.unique(pairs, axis=0, return_counts=True)
        order = np.argsort(-numbers, kind="stable")
        return {
            (class_names[unique[n][0]], class_names[unique[n][1]]): int(numbers[n])
            for n in order
        }


def causes_of(
    seen: Observed, alarms: FalseAlarms, num_classes: int, **metric: Any
) -> list[Cause]:
    """Returns the causes that occur, misses first, in the order of the stages.

    Args:
        seen: the data set.
        alarms: of its detections.
        num_classes: K.
        **metric: keyword arguments of `evaluate_voc`.
    """
    misses = [_miss(seen, stage, num_classes, metric) for stage in STAGES]
    wrong = [_false_alarm(seen, alarms, kind, num_classes, metric) for kind in KINDS]
    return [cause for cause in [*misses, *wrong] if len(cause.rows)]


def network_sides(rows: GroundTruth | DetectedBoxes, scales: np.ndarray) -> np.ndarray:
    """Returns float64 [n], roots of the areas of boxes in network pixels."""
    sides = (rows.boxes[:, 2:] - rows.boxes[:, :2]) * scales[rows.image_index]
    return np.sqrt(np.maximum(sides, 0).prod(axis=1))


def _miss(seen: Observed, stage: str, num_classes: int, metric: dict) -> Cause:
    rows = seen.missed[seen.stages == stage]
    sides = network_sides(seen.truth, seen.scales)[rows]
    order = np.argsort(-sides, kind="stable")
    rows, labels = rows[order], seen.truth.labels[rows[order]]
    cost = cost_of_misses(seen.truth, seen.found, rows, num_classes, **metric)
    return Cause(MISS, stage, cost, rows, labels, labels, sides[order])


def _false_alarm(
    seen: Observed, alarms: FalseAlarms, kind: str, num_classes: int, metric: dict
) -> Cause:
    wrong = alarms.kinds == kind
    rows = np.flatnonzero(wrong)
    rows = rows[np.argsort(-seen.found.scores[rows], kind="stable")]
    cost = cost_of_false_alarms(seen.truth, seen.found, wrong, num_classes, **metric)
    return Cause(
        FALSE_ALARM,
        kind,
        cost,
        rows,
        seen.found.labels[rows],
        np.append(seen.truth.labels, -1)[alarms.objects[rows]],
        network_sides(seen.found, seen.scales)[rows],
    )
