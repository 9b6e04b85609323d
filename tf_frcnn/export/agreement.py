"""How many of a model's detections a file with smaller weights finds again."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tf_frcnn.data import ExampleSet, Resizing
from tf_frcnn.data.pipeline.batching import evaluation_batches
from tf_frcnn.evaluation import DetectedBoxes
from tf_frcnn.evaluation.overlaps import paired_iou
from tf_frcnn.export.sample_requests import sample_requests
from tf_frcnn.export.verification import ExportError, detections_in
from tf_frcnn.models import FasterRCNN
from tf_frcnn.models.evaluating import observe
from tf_frcnn.runs.inference import detections_of_image

# Detections that count have this score; they are found again with this IoU.
MIN_SCORE, MIN_IOU = 0.5, 0.5


class Agreement(NamedTuple):
    """What a file finds of the model's detections with a score of at least 0.5.

    Attributes:
        images: number of images.
        detections: number of the model's detections in them.
        found: number of these where the file has one of the same class, at an IoU of
            at least 0.5.
        score_difference: the largest difference between their scores.
        box_difference: the largest difference of a corner between them, in pixels of
            the file.
    """

    images: int
    detections: int
    found: int
    score_difference: float
    box_difference: float

    def require_half(self, file: str, weights: str) -> str:
        """Returns a sentence about it.

        Raises:
            ExportError: less than half of the detections are found.
        """
        text = (
            f"{file} with {weights} weights finds {self.found} of the model's "
            f"{self.detections} detections (score at least {MIN_SCORE:g}) in "
            f"{self.images} images"
        )
        if 2 * self.found < self.detections:
            raise ExportError(f"{text}; the export was discarded.")
        return (
            f"{text}; their scores differ by at most {self.score_difference:.2g}, "
            f"their boxes by {self.box_difference:.2g} pixels."
        )


def agreement_with(
    model: FasterRCNN,
    resizing: Resizing,
    samples: ExampleSet,
    run: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]],
) -> Agreement:
    """Compares a file's detections with the model's.

    Args:
        model: the original.
        resizing: of the images.
        samples: the images.
        run: the file, a function of one image's arrays as `canvas_inputs` lists them.
    """
    model.make_predict_function(force=True)
    batches = evaluation_batches(samples, resizing, batch_size=1)
    _, detections = observe(model, batches)
    pairs: list[tuple[float, float]] = []
    for row, inputs in sample_requests(samples, resizing):
        record = samples.records[row]
        found = detections_in(run(inputs["preprocessed"]), model.class_names, "export")
        sides = np.tile([record.height, record.width], 2)
        found = found._replace(boxes=found.boxes * sides)
        pairs += _differences(detections_of_image(detections, row), found)
    again = [pair for pair in pairs if np.isfinite(pair[0])]
    scores, boxes = np.max(again, axis=0).tolist() if again else (0.0, 0.0)
    return Agreement(len(samples.records), len(pairs), len(again), scores, boxes)


def _differences(own: DetectedBoxes, found: DetectedBoxes) -> list[tuple[float, float]]:
    """Returns for each detection that counts how far its best match is from it.

    That is the score's difference and the largest of a corner; infinite for no match.
    """
    differences = []
    for box, score, label in zip(*own[1:], strict=True):
        if score < MIN_SCORE:
            continue
        overlaps = np.where(found.labels == label, paired_iou(box, found.boxes), 0.0)
        if overlaps.max(initial=0.0) < MIN_IOU:
            differences.append((np.inf, np.inf))
            continue
        row = overlaps.argmax()
        corner = np.abs(box - found.boxes[row]).max()
        differences.append((abs(score - found.scores[row]), corner))
    return differences
