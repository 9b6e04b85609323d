"""The comparison of a written model with the original."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from tf_frcnn.data import ExampleSet, Record, Resizing
from tf_frcnn.data.pipeline.batching import evaluation_batches
from tf_frcnn.evaluation import DetectedBoxes
from tf_frcnn.export.sample_requests import SampleRequest
from tf_frcnn.models import FasterRCNN
from tf_frcnn.models.evaluating import observe
from tf_frcnn.runs.inference import detections_of_image

# How far the reloaded model's detections may be from the model's own: pixels of the
# file, and scores.
MAX_BOX_ERROR, MAX_SCORE_ERROR = 0.5, 1e-3


class ExportError(RuntimeError):
    """The exported model's detections differ from the original's."""


def verify(
    path: Path,
    model: FasterRCNN,
    resizing: Resizing,
    samples: ExampleSet,
    requests: Sequence[SampleRequest],
) -> None:
    """Reloads a written model and sends it each request.

    Args:
        path: of the SavedModel.
        model: the original.
        resizing: of the images.
        samples: images.
        requests: made of them.

    Raises:
        ExportError: a signature's detections differ from the original's.
    """
    signatures = tf.saved_model.load(path).signatures
    expected = own_detections(model, resizing, samples)
    for row, inputs in requests:
        record, own = samples.records[row], detections_of_image(expected, row)
        for name, arrays in inputs.items():
            tensors = {key: tf.constant(array) for key, array in arrays.items()}
            output = {k: v.numpy() for k, v in signatures[name](**tensors).items()}
            what = f"{name} of {record.source}"
            compare(own, output, record, model.class_names, what)


def own_detections(
    model: FasterRCNN, resizing: Resizing, samples: ExampleSet
) -> DetectedBoxes:
    """Returns the original's detections; prints a note if there are none.

    Args:
        model: the original.
        resizing: of the images.
        samples: images.
    """
    # The model may have other settings than when it made its graph.
    model.make_predict_function(force=True)
    _, found = observe(model, evaluation_batches(samples, resizing, batch_size=1))
    if not len(found.scores):
        print(
            f"Note: none of the sample images ({len(samples.records)}) has a "
            "detection above the score threshold "
            f"{model.roi_head.detections.score_threshold:g}, so that boxes and scores "
            "could not be compared; the export has no detection either."
        )
    return found


def compare(
    own: DetectedBoxes,
    output: Mapping[str, np.ndarray],
    record: Record,
    class_names: Sequence[str],
    what: str,
) -> tuple[float, float]:
    """Compares the outputs of `signatures` for one image with the original's.

    Args:
        own: detections of the original.
        output: arrays by name, a batch of one; `detection_class_names` may be missing.
        record: of the image.
        class_names: of the classes.
        what: the output's name in messages.

    Returns:
        The largest difference of a corner, in pixels of the file, and of a score.

    Raises:
        ExportError: they differ.
    """
    row = {name: array[0] for name, array in output.items()}
    sides = np.tile([record.height, record.width], 2)
    row["detection_boxes"] = row["detection_boxes"] * sides
    return _compare(own, row, class_names, what)


def _compare(own: DetectedBoxes, output, class_names, what: str):
    count = int(output["num_detections"])
    if count != len(own.scores):
        raise ExportError(
            f"{what}: {count} detections instead of {len(own.scores)}; the export was "
            "discarded. Where scores or overlaps lie at a threshold, rounding decides: "
            "try it on other samples."
        )
    boxes, scores = output["detection_boxes"], output["detection_scores"]
    box_error = np.abs(boxes[:count] - own.boxes).max(initial=0.0)
    score_error = np.abs(scores[:count] - own.scores).max(initial=0.0)
    if not (box_error <= MAX_BOX_ERROR and score_error <= MAX_SCORE_ERROR):
        raise ExportError(
            f"{what}: boxes differ by {box_error:.3g} pixels (allowed "
            f"{MAX_BOX_ERROR}) and scores by {score_error:.3g} (allowed "
            f"{MAX_SCORE_ERROR}); the export was discarded."
        )
    numbers = output["detection_classes"][:count]
    is_same, found = np.array_equal(numbers, own.labels + 1), numbers.tolist()
    expected = (own.labels + 1).tolist()
    if "detection_class_names" in output:
        found = [name.decode() for name in output["detection_class_names"][:count]]
        expected = [class_names[label] for label in own.labels]
    if not is_same or found != expected:
        raise ExportError(
            f"{what}: the classes are {found} instead of {expected}; the export was "
            "discarded."
        )
    return box_error, score_error
