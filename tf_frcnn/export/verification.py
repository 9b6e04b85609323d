"""The comparison of a written model with the original."""

import contextlib
import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from tf_frcnn.data import ExampleSet, Resizing
from tf_frcnn.data.pipeline.batching import evaluation_batches
from tf_frcnn.evaluation import DetectedBoxes
from tf_frcnn.export.rounding import (
    MAX_BOX_ERROR,
    MAX_SCORE_ERROR,
    Thresholds,
    errors_between,
    find_differences,
)
from tf_frcnn.export.sample_requests import SampleRequest
from tf_frcnn.models import FasterRCNN
from tf_frcnn.models.evaluating import observe
from tf_frcnn.runs.inference import detections_of_image


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
    original = whole = Original(model, resizing, samples)
    if model.settings.tiles.size is not None:
        whole = Original(model, resizing, samples, in_tiles=True)
    for row, inputs in requests:
        for name, arrays in inputs.items():
            tensors = {key: tf.constant(array) for key, array in arrays.items()}
            output = {k: v.numpy() for k, v in signatures[name](**tensors).items()}
            # What is on a canvas already is not cut.
            own = original if name == "preprocessed" else whole
            own.compare(row, output, name)
    for own in {original, whole}:
        own.report()


class Original:
    """A model's own detections in sample images, which those of exports must equal.

    Equal ones are of one class, within 0.5 pixels and 0.001 of the score. What one side
    lacks is accepted if rounding decides about it, as `rounding` says; and what the
    export has must have been found by the original before suppression.

    Args:
        model: the original.
        resizing: of the images.
        samples: images.
        in_tiles: whether the model cuts them as its settings have it.
    """

    def __init__(
        self,
        model: FasterRCNN,
        resizing: Resizing,
        samples: ExampleSet,
        *,
        in_tiles: bool = False,
    ):
        self._model, self._samples = model, samples
        batches = evaluation_batches(samples, resizing, batch_size=1)
        self._data = samples if in_tiles else batches
        self._most = model.roi_head.detections.max_per_image
        if in_tiles:
            self._most = model.tiled_detection(resizing).max_per_image
        self._num_equal = self._num_accepted = 0
        # The model may have other settings than when it made its graph.
        model.make_predict_function(force=True)
        self._detections = observe(model, self._data)[1]
        self._candidates: DetectedBoxes | None = None

    def compare(
        self, row: int, output: Mapping[str, np.ndarray], what: str
    ) -> tuple[float, float]:
        """Compares the outputs of `signatures` for a sample with the original's.

        Args:
            row: of the sample.
            output: arrays by name, a batch of one; `detection_class_names` may be
                missing.
            what: the output's name in messages.

        Returns:
            The largest difference of a corner, in pixels of the file, and of a score.

        Raises:
            ExportError: they differ.
        """
        record = self._samples.records[row]
        what = f"{what} of {record.source}"
        own = detections_of_image(self._detections, row)
        found = detections_in(output, self._model.class_names, what)
        sides = np.tile([record.height, record.width], 2)
        found = found._replace(boxes=found.boxes * sides)
        candidates = functools.partial(self._candidates_of, row)
        partners, missing, added, num_accepted = find_differences(
            own, found, self._thresholds, candidates
        )
        if missing.any() or added.any():
            raise ExportError(
                f"{what}: {len(found.scores)} detections instead of {len(own.scores)}; "
                f"{self._named(own, missing, found, 'the export')}"
                f"{self._named(found, added, own, 'the original')}"
                "the export was discarded."
            )
        rows = np.flatnonzero(partners >= 0)
        self._num_equal += len(rows)
        self._num_accepted += num_accepted
        boxes, scores = errors_between(own, found)
        pairs = rows, partners[rows]
        return boxes[pairs].max(initial=0.0), scores[pairs].max(initial=0.0)

    def report(self) -> None:
        """Prints a note if nothing could be compared, or if rounding was accepted."""
        if not len(self._detections.scores):
            print(
                f"Note: none of the sample images ({len(self._samples.records)}) has a "
                "detection above the score threshold "
                f"{self._thresholds.scores.min():g}, so that boxes and scores could "
                "not be compared; the export has no detection either."
            )
        if self._num_accepted:
            print(
                "Note: detections of the export or of the original alone, which "
                f"rounding explains: {self._num_accepted} (equal ones: "
                f"{self._num_equal}). Their scores or overlaps lie at a threshold, or "
                "are nearly equal."
            )

    @property
    def _thresholds(self) -> Thresholds:
        own = self._model.roi_head.detections
        return Thresholds(
            scores=np.maximum(
                own.class_thresholds or np.zeros(len(self._model.class_names)),
                own.score_threshold,
            ),
            side=own.min_size,
            iou=own.nms_iou,
            most=self._most,
            across_classes=own.class_agnostic_nms,
            is_soft=own.suppression == "soft",
        )

    def _named(self, detections, chosen, others, name_of_others) -> str:
        """Names the first of the detections that the others lack; "" for none."""
        if not chosen.any():
            return ""
        row = np.flatnonzero(chosen)[0]
        text = f"{name_of_others} lacks {chosen.sum()}, such as "
        text += self._text(detections, row)
        if len(others.scores):
            boxes, scores = errors_between(detections, others)
            nearest = boxes[row].argmin()
            text += (
                f", where it has {self._text(others, nearest)}: boxes differ by "
                f"{boxes[row, nearest]:.3g} pixels (allowed {MAX_BOX_ERROR}) and "
                f"scores by {scores[row, nearest]:.3g} (allowed {MAX_SCORE_ERROR})"
            )
        return f"{text}; "

    def _text(self, detections, row) -> str:
        name = self._model.class_names[detections.labels[row]]
        box = ", ".join(f"{corner:.1f}" for corner in detections.boxes[row])
        return f"{name} {detections.scores[row]:.3f} at ({box})"

    def _candidates_of(self, row: int) -> DetectedBoxes:
        """Returns what the original has in a sample before suppression."""
        if self._candidates is None:
            with _without_suppression(self._model):
                self._candidates = observe(self._model, self._data)[1]
        return detections_of_image(self._candidates, row)


@contextlib.contextmanager
def _without_suppression(model: FasterRCNN) -> Iterator[None]:
    """Lets a model detect, within the context, all above its thresholds, or nearly."""
    layer = model.roi_head.detection_layer
    own, proposals = layer.detections, model.rpn.proposal_layer.proposals
    layer.detections = own.replace(
        score_threshold=max(0.0, own.score_threshold - MAX_SCORE_ERROR),
        class_thresholds=(),
        min_size=max(0.0, own.min_size - MAX_BOX_ERROR),
        nms_iou=1.0,
        max_per_image=proposals.test_post_nms * len(model.class_names),
        class_agnostic_nms=False,
    )
    model.make_predict_function(force=True)
    try:
        yield
    finally:
        layer.detections = own
        model.make_predict_function(force=True)


def detections_in(
    output: Mapping[str, np.ndarray], class_names: Sequence[str], what: str
) -> DetectedBoxes:
    """Returns the detections of an output, boxes as shares of the image's sides.

    Raises:
        ExportError: a number or a name is of no class.
    """
    count = int(output["num_detections"][0])
    numbers = output["detection_classes"][0, :count]
    known = dict(enumerate(class_names, start=1))
    expected = [known.get(number) for number in numbers.tolist()]
    names = expected
    if "detection_class_names" in output:
        names = [name.decode() for name in output["detection_class_names"][0, :count]]
    if None in expected or names != expected:
        raise ExportError(
            f"{what}: the classes are {names} of the numbers {numbers.tolist()} "
            f"instead of {expected}; the export was discarded."
        )
    return DetectedBoxes(
        image_index=np.zeros(count, np.int64),
        boxes=output["detection_boxes"][0, :count],
        scores=output["detection_scores"][0, :count],
        labels=numbers.astype(np.int64) - 1,
    )
