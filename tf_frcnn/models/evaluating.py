"""The mean average precision of a detector on any data."""

from inspect import Parameter, signature
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tf_frcnn.config import Config
from tf_frcnn.data.decoding.transforms import decode_image
from tf_frcnn.data.examples import ExampleSet
from tf_frcnn.evaluation import (
    COCO_METRIC,
    METRICS,
    COCOResult,
    DetectedBoxes,
    GroundTruth,
    VOCResult,
    evaluate_coco,
    evaluate_voc,
)
from tf_frcnn.evaluation.proposal_recall import ProposedBoxes
from tf_frcnn.models.batch import batch_of
from tf_frcnn.models.batches import Batches, check_data, is_raw
from tf_frcnn.models.detecting import detect_in_batches, detected_in, run_batches
from tf_frcnn.models.detector import Detector
from tf_frcnn.models.errors import readable_errors
from tf_frcnn.models.faster_rcnn import FasterRCNN
from tf_frcnn.models.workers import gathered, workers_of
from tf_frcnn.structures import Proposals

_NOTHING = DetectedBoxes(
    np.zeros(0, np.int64),
    np.zeros([0, 4], np.float32),
    np.zeros(0, np.float32),
    np.zeros(0, np.int32),
)


class Evaluation(NamedTuple):
    """The result of `evaluate`.

    Attributes:
        mean: mean average precision over the classes that have objects; NaN if none
            has.
        by_class: average precision under each class's name; NaN where it has no object.
        result: the curves behind it; with the metric "coco" all of COCO's numbers.
    """

    mean: float
    by_class: dict[str, float]
    result: VOCResult | COCOResult

    def __repr__(self) -> str:
        classes = ", ".join(f"{n} {ap:.3f}" for n, ap in self.by_class.items())
        return f"mAP {self.mean:.3f}: {classes}"


def evaluate(
    model: Detector,
    data: ExampleSet | tf.data.Dataset,
    *,
    batch_size: int | None = None,
    **metric: Any,
) -> Evaluation:
    """Measures the mean average precision of a detector.

    Args:
        model: the detector.
        data: as `fit` takes them: of `read_data`, a dataset of single examples, or of
            batches.
        batch_size: images per batch; None for the recipe's.
        **metric: keyword arguments of `evaluate_voc`, such as `metric="area"` and
            `iou_threshold=0.75`, instead of those of the model's recipe; or
            `metric="coco"`, alone or with `use_difficult`, for `evaluate_coco`.

    Raises:
        ValueError: there is no such metric, or it does not have such an argument.
    """
    require_metric(model, metric)
    truth, found = observe(model, data, batch_size=batch_size)
    return evaluate_boxes(model, truth, found, **metric)


def evaluate_boxes(
    model: Detector, truth: GroundTruth, found: DetectedBoxes, **metric: Any
) -> Evaluation:
    """Measures detections; see `evaluate`."""
    require_metric(model, metric)
    settings, count = metric_of(model) | metric, len(model.class_names)
    result: VOCResult | COCOResult
    if settings["metric"] == COCO_METRIC:
        own = {name: value for name, value in metric.items() if name != "metric"}
        result = evaluate_coco(truth, found, count, **own)
        mean, figures = result.ap, result.class_ap
    else:
        result = evaluate_voc(truth, found, count, **settings)
        mean, figures = result.mean, result.average_precisions
    by_class = dict(zip(model.class_names, map(float, figures), strict=True))
    return Evaluation(float(mean), by_class, result)


def require_metric(model: Detector, given: dict[str, Any]) -> None:
    """Raises an error for what `evaluate` does not take, before anything is detected.

    Args:
        model: the detector.
        given: keyword arguments of `evaluate`: `metric`, and those beside it.

    Raises:
        ValueError: there is no such metric, or it does not have such an argument.
    """
    names, name = (*METRICS, COCO_METRIC), (metric_of(model) | given)["metric"]
    if name not in names:
        raise ValueError(f"metric = {name!r} must be one of {', '.join(names)}.")
    measure = evaluate_coco if name == COCO_METRIC else evaluate_voc
    known = signature(measure).parameters.values()
    own = {"metric", *(p.name for p in known if p.kind is Parameter.KEYWORD_ONLY)}
    if unknown := ", ".join(sorted(given.keys() - own)):
        if name == COCO_METRIC:
            raise ValueError(
                f"{unknown}: metric = {COCO_METRIC!r} has its own IoU thresholds and "
                "boxes; name another metric beside it."
            )
        raise ValueError(f"{unknown}: evaluate takes {', '.join(sorted(own))}.")


def metric_of(model: Detector) -> dict[str, Any]:
    """Returns the keyword arguments of `evaluate_voc` that a model's recipe has.

    The metric may also be "coco", with which the others are not used.
    """
    return metric_settings(model.settings)


def metric_settings(settings: Config) -> dict[str, Any]:
    """Returns what `metric_of` does, for a configuration."""
    own = settings.evaluation
    return {"metric": own.metric, "iou_threshold": own.iou, "plus_one": own.plus_one}


def observe(
    model: Detector,
    data: ExampleSet | tf.data.Dataset,
    *,
    batch_size: int | None = None,
) -> tuple[GroundTruth, DetectedBoxes]:
    """Returns the objects of a data set and the detections, in pixels of the files.

    With `tiles.size` larger images are cut into tiles; batches are taken as they are.

    Several workers share the images of an example set, and all get all detections.
    Arguments as of `evaluate`. Image i is the i-th of the data.
    """
    require_observable(model, data)
    workers = workers_of(model.distribute_strategy)
    if workers.total == 1 or not isinstance(data, ExampleSet):
        return _observe(model, data, batch_size)
    rows = np.array(workers.rows(len(data.records)), np.int64)
    own = _NOTHING
    if len(rows):
        _, own = _observe(model, data.subset(rows), batch_size)
    own = own._replace(image_index=rows[own.image_index])
    found = DetectedBoxes(*gathered(own, model.distribute_strategy))
    return ground_truth_of(data), found


def require_observable(model: Detector, data: ExampleSet | tf.data.Dataset) -> None:
    """Raises an error for data in which `observe` cannot detect.

    Raises:
        DataError: the dataset is endless.
        ValueError: the model cuts large images, and the data do not have the files'.
    """
    check_data(data)
    if isinstance(data, ExampleSet) or not is_raw(data):
        return
    if (size := model.settings.tiles.size) is not None:
        raise ValueError(
            f"tiles.size = {list(size)} needs data of read_data, whose images come in "
            "the size of their files; set it to null otherwise."
        )


def _observe(model, data, batch_size) -> tuple[GroundTruth, DetectedBoxes]:
    if is_raw(data) and model.settings.tiles.size is not None:
        in_tiles = _detect_in_tiles(model, data)
        return ground_truth_of(data), in_tiles
    truth, parts, count = [], [], 0
    batches = _batches_of(model, data, batch_size).with_objects()
    for batch, found in detect_in_batches(model, batches.dataset):
        rows = batch.get("rows", count + np.arange(len(found["valid"])))
        count += len(rows)
        parts.append(detected_in(found, rows))
        truth.append(_truth_in(batch, rows))
    batches.report_left_out()
    detected = DetectedBoxes(*_joined(parts))
    if isinstance(data, ExampleSet):
        return ground_truth_of(data), detected
    return GroundTruth(*_joined(truth)), detected


def _detect_in_tiles(model, data) -> DetectedBoxes:
    """Returns what a model that cuts large images finds in an example set."""
    parts = [_NOTHING]
    for row, encoded in data.stream().as_numpy_iterator():
        orientation = tf.constant(data.records[row].orientation)
        with readable_errors():
            image = decode_image(tf.constant(encoded), orientation)
            found = model.detect_in_tiles(image)
        valid = found["valid"]
        own = (found[name][valid] for name in ("boxes", "scores", "labels"))
        parts.append(DetectedBoxes(np.full(valid.sum(), row), *own))
    return DetectedBoxes(*_joined(parts))


def propose(
    model: Detector, data: ExampleSet | tf.data.Dataset, *, training: bool
) -> ProposedBoxes:
    """Collects the RPN's proposals, in pixels of the files.

    Args:
        model: a detector with an RPN.
        data: as of `evaluate`.
        training: whether to return as many proposals as in training.
    """

    def step(batch):
        return model.propose(batch, training=training)

    parts = []
    for batch, found in run_batches(step, _batches_of(model, data).dataset):
        parts.append(proposed_in(found, batch["rows"]))
    return ProposedBoxes(*_joined(parts))


def observe_and_propose(
    model: FasterRCNN, examples: ExampleSet
) -> tuple[GroundTruth, DetectedBoxes, ProposedBoxes]:
    """Returns what `observe` does, and as many proposals as in training.

    It takes one pass through the network, unless that cuts images into tiles.
    """
    if model.settings.tiles.size is not None:
        return *observe(model, examples), propose(model, examples, training=True)
    detected, proposed = [], []
    batches = _batches_of(model, examples).dataset
    for batch, (found, proposals) in run_batches(model.detect_and_propose, batches):
        detected.append(detected_in(found, batch["rows"]))
        proposed.append(proposed_in(proposals, batch["rows"]))
    found, proposals = DetectedBoxes(*_joined(detected)), _joined(proposed)
    return ground_truth_of(examples), found, ProposedBoxes(*proposals)


def ground_truth_of(examples: ExampleSet) -> GroundTruth:
    """Returns the objects of an example set; image i is record i."""
    records = examples.records
    counts = [len(record.boxes) for record in records]
    return GroundTruth(
        image_index=np.repeat(np.arange(len(records)), counts),
        boxes=np.concatenate([r.boxes for r in records]).reshape(-1, 4),
        labels=np.concatenate([r.labels for r in records]),
        difficult=np.concatenate([r.difficult for r in records]),
        crowd=np.concatenate([r.crowd for r in records]),
    )


def _batches_of(model, data, batch_size=None) -> Batches:
    if is_raw(data):
        return model.evaluation_batches(data, batch_size)
    return Batches(data.map(lambda *parts: batch_of(parts)))


def proposed_in(proposals: Proposals, rows: np.ndarray) -> tuple[np.ndarray, ...]:
    """Returns the columns of `ProposedBoxes` of a batch of arrays.

    Args:
        proposals: arrays of boxes in pixels of the file.
        rows: int [B], numbers of the images.
    """
    image, slot = np.nonzero(proposals.valid)
    return rows[image], proposals.boxes[image, slot], proposals.scores[image, slot]


def _truth_in(batch, rows):
    """Returns the columns of `GroundTruth` of a batch of arrays."""
    image, slot = np.nonzero(batch["labels"] >= 0)
    scales = np.tile(batch.get("scales", np.ones([len(rows), 2])), 2)
    boxes = batch["boxes"][image, slot] / scales[image]
    unmarked = np.zeros(batch["labels"].shape, bool)
    marks = (batch.get(name, unmarked)[image, slot] for name in ("difficult", "crowd"))
    return rows[image], boxes, batch["labels"][image, slot], *marks


def _joined(parts):
    return map(np.concatenate, zip(*parts, strict=True))
