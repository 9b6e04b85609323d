"""A data set seen by a detector, with the stage of every miss."""

from typing import Any, NamedTuple

import numpy as np

from tf_frcnn.data import ExampleSet
from tf_frcnn.evaluation import DetectedBoxes, GroundTruth, judge_voc
from tf_frcnn.evaluation.misses import stage_of_miss
from tf_frcnn.evaluation.proposal_recall import ProposedBoxes
from tf_frcnn.models import FasterRCNN
from tf_frcnn.models.detecting import run_batches
from tf_frcnn.models.evaluating import ground_truth_of, metric_of, proposed_in
from tf_frcnn.models.inspecting import inspections_of, inspector, limits_of
from tf_frcnn.structures import Detections

# IoU limits of the final suppression that are tried.
_NMS_IOUS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7)


class Observed(NamedTuple):
    """The objects and detections of a data set; image i is record i.

    Attributes:
        truth: the objects, in pixels of the files.
        found: the detections, likewise.
        proposals: the RPN's, as many as in training, likewise.
        missed: int64 [m], rows of the objects that count and that none matches.
        stages: m texts, the stage that lost each; see `evaluation.misses`.
        scales: float32 [images, 2], network pixels per file pixel along y and x.
        trials: (name, value) of another setting in `detections` -> the detections
            with it.
    """

    truth: GroundTruth
    found: DetectedBoxes
    proposals: ProposedBoxes
    missed: np.ndarray
    stages: np.ndarray
    scales: np.ndarray
    trials: dict[tuple[str, float | str], DetectedBoxes]


def judging_of(model: FasterRCNN) -> dict[str, Any]:
    """Returns the keyword arguments of `judge_voc` that a model's recipe has."""
    own = metric_of(model)
    judging = {name: own[name] for name in ("iou_threshold", "plus_one")}
    return judging | {"num_classes": len(model.class_names)}


def observe_stages(model: FasterRCNN, examples: ExampleSet) -> Observed:
    """Detects the objects of a set; what is missed is followed through the stages.

    Each batch is forgotten when its misses are known.
    """
    truth = ground_truth_of(examples)
    starts = np.searchsorted(truth.image_index, np.arange(len(examples.records) + 1))
    limits, judging = limits_of(model), judging_of(model)
    scales = np.ones([len(examples.records), 2], np.float32)
    tried = _other_settings(model)
    found, trials = _Rows(), {key: _Rows() for key in tried}
    missed, stages, proposed = [], [], []
    batches = model.evaluation_batches(examples, None).dataset
    settings = model.roi_head.detections
    inspect = inspector(model, [settings.replace(**{n: v}) for n, v in tried])
    for batch, boxes in run_batches(inspect, batches):
        for rows, detections in zip(trials.values(), boxes.trials, strict=True):
            rows.add(detections, batch["rows"])
        found.add(boxes.detections, batch["rows"])
        proposed.append(proposed_in(boxes.proposals_in_training, batch["rows"]))
        scales[batch["rows"]] = batch["scales"]
        for place, image in enumerate(inspections_of(boxes)):
            row = batch["rows"][place]
            objects = np.arange(starts[row], starts[row + 1])
            lost = objects[_are_missed(truth, objects, found.last(place), judging)]
            missed.append(lost)
            stages += [
                stage_of_miss(image, truth.boxes[n], truth.labels[n], limits)
                for n in lost
            ]
    return Observed(
        truth,
        found.joined(),
        ProposedBoxes(*map(np.concatenate, zip(*proposed, strict=True))),
        np.concatenate(missed),
        np.array(stages, object),
        scales,
        {key: rows.joined() for key, rows in trials.items()},
    )


def _other_settings(model: FasterRCNN) -> list[tuple[str, float | str]]:
    """Returns settings that can be tried without running the network again."""
    own = model.roi_head.detections
    limits = [("nms_iou", iou) for iou in _NMS_IOUS if iou != own.nms_iou]
    soft = [("suppression", "soft")] if own.suppression == "hard" else []
    return [*limits, *soft, ("class_agnostic_nms", not own.class_agnostic_nms)]


def _are_missed(
    truth: GroundTruth,
    rows: np.ndarray,
    found: DetectedBoxes,
    judging: dict[str, Any],
) -> np.ndarray:
    """Returns bool [n], which objects of an image count and are matched by nothing."""
    own = GroundTruth(*(column[rows] for column in truth))
    judged = judge_voc(own, found, **judging)
    missed = ~(own.difficult | own.crowd)
    missed[judged.hit[judged.right]] = False
    return missed


class _Rows:
    """Detections that come batch by batch."""

    def __init__(self) -> None:
        self._images: list[DetectedBoxes] = []
        self._last = 0

    def add(self, found: Detections, rows: np.ndarray) -> None:
        """Adds a batch of arrays; `rows` are the records of its images."""
        self._last = len(self._images)
        for place, row in enumerate(rows):
            valid = found.valid[place]
            columns = (found.boxes, found.scores, found.labels)
            own = (values[place][valid] for values in columns)
            self._images.append(DetectedBoxes(np.full(valid.sum(), row), *own))

    def last(self, place: int) -> DetectedBoxes:
        """Returns the detections of an image of the last batch."""
        return self._images[self._last + place]

    def joined(self) -> DetectedBoxes:
        """Returns all detections."""
        return DetectedBoxes(*map(np.concatenate, zip(*self._images, strict=True)))
