"""The curves and the confusion matrix of a validation, for TensorBoard."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorboard.plugins.pr_curve.metadata import create_summary_metadata

from tf_frcnn.drawing.matrices import draw_matrix
from tf_frcnn.evaluation import DetectedBoxes, GroundTruth, Judgement, judge_voc
from tf_frcnn.evaluation.confusion import confusion_matrix
from tf_frcnn.report.figures import thresholds_of, used_scores
from tf_frcnn.runs.writing import named_errors

# Thresholds of a curve in TensorBoard. A matrix of more classes cannot be read.
_THRESHOLDS, _MATRIX_CLASSES = 101, 30


class ValidationSummaries:
    """Writes a validation's precision-recall curves and its confusion matrix.

    Args:
        writer: of TensorBoard summaries.
        folder: that it writes into.
        class_names: of the K classes.
        metric: of `metric_settings`; the IoU of a correct detection is read.
    """

    def __init__(
        self,
        writer: tf.summary.SummaryWriter,
        folder: Path,
        class_names: Sequence[str],
        metric: Mapping[str, Any],
    ):
        self._writer, self._folder, self._names = writer, folder, tuple(class_names)
        self._iou = {n: metric[n] for n in ("iou_threshold", "plus_one")}

    def write(self, epoch: int, truth: GroundTruth, found: DetectedBoxes) -> None:
        """Writes those of an epoch, counted from 1."""
        judged = judge_voc(truth, found, len(self._names), **self._iou)
        with named_errors(self._folder), self._writer.as_default(step=epoch):
            self._write_curves(truth, found, judged)
            if len(self._names) <= _MATRIX_CLASSES:
                matrix = self._confusions(truth, found, judged)
                names = [*self._names, "background"]
                image = draw_matrix(matrix, names)
                tf.summary.image("confusion_matrix", image[np.newaxis])

    def _write_curves(self, truth, found, judged) -> None:
        countable = ~truth.difficult & ~truth.crowd
        for label, name in enumerate(self._names):
            objects = int((truth.labels[countable] == label).sum())
            rows = (found.labels == label) & judged.counted
            if objects:
                curve = pr_curve(found.scores[rows], judged.right[rows], objects)
                metadata = create_summary_metadata(name, "", _THRESHOLDS)
                tf.summary.write(f"precision_recall/{name}", curve, metadata=metadata)

    def _confusions(
        self, truth: GroundTruth, found: DetectedBoxes, judged: Judgement
    ) -> np.ndarray:
        """Returns the matrix from the score of each class's best F1 on."""
        count = len(self._names)
        points = thresholds_of(truth, found, judged, count, precision=1.0).best_f1
        used = used_scores(found, points)
        kept = DetectedBoxes(*(column[used] for column in found))
        return confusion_matrix(truth, kept, count, self._iou["iou_threshold"])


def pr_curve(scores: np.ndarray, right: np.ndarray, num_objects: int) -> np.ndarray:
    """Returns what TensorBoard's plugin draws a class's curve of.

    Args:
        scores: float [n], of the detections that count.
        right: bool [n].
        num_objects: that count.

    Returns:
        float32 [6, 101]: numbers of true and false positives, true (0: there are none
            in detection) and false negatives, precisions and recalls at the scores 0,
            0.01, ... 1.
    """
    reach = scores[:, np.newaxis] >= np.linspace(0.0, 1.0, _THRESHOLDS)
    hits = (reach & right[:, np.newaxis]).sum(axis=0)
    wrong = reach.sum(axis=0) - hits
    rows = [hits, wrong, 0 * hits, num_objects - hits]
    rows += [hits / np.maximum(hits + wrong, 1), hits / num_objects]
    return np.array(rows, np.float32)
