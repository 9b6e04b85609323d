"""Callbacks for `fit`, beside those of Keras."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_frcnn.data.examples import ExampleSet
from tf_frcnn.evaluation import DetectedBoxes, GroundTruth
from tf_frcnn.models.evaluating import (
    Evaluation,
    evaluate_boxes,
    ground_truth_of,
    observe,
    require_metric,
    require_observable,
)
from tf_frcnn.models.kept_detections import KeptDetections
from tf_frcnn.models.training_figures import TrainingFigures

__all__ = ["MeanAveragePrecision", "TrainingFigures"]

OnEvaluation = Callable[[int, GroundTruth, DetectedBoxes, Evaluation], None]


class MeanAveragePrecision(keras.callbacks.Callback):
    """Adds `val_mAP` to the logs, where other callbacks monitor it.

    Wherever it stands in the list, `fit` calls it before callbacks that only read the
    logs. A mean over no class is 0. Where the data are the `validation_data` of `fit`,
    the detections are of the pass that computes their losses.

    Args:
        data: the validation data, as `fit` takes them.
        every: epochs from one measurement to the next; the last one is measured too.
        by_class: whether the logs get `val_AP/NAME` too, of each class with objects.
        on_evaluation: called with the epoch (from 0), the objects, the detections and
            the result.
        **metric: as of `tf_frcnn.evaluate`.
    """

    adds_to_logs = True
    kept_detections: KeptDetections | None = None

    def __init__(
        self,
        data: ExampleSet | tf.data.Dataset,
        *,
        every: int = 1,
        by_class: bool = False,
        on_evaluation: OnEvaluation | None = None,
        **metric: Any,
    ):
        super().__init__()
        self.data, self.every, self.by_class = data, every, by_class
        self.on_evaluation, self.metric = on_evaluation, metric

    def on_train_begin(self, logs=None):
        """Refuses data and metrics of no use, before an epoch is trained."""
        require_metric(self.model, self.metric)
        require_observable(self.model, self.data)

    def on_epoch_end(self, epoch, logs=None):
        """Detects, measures, and adds the result to the logs."""
        if not self.measures(epoch, self.params["epochs"]):
            return
        truth, found = self._observed()
        result = evaluate_boxes(self.model, truth, found, **self.metric)
        logs["val_mAP"] = float(np.nan_to_num(result.mean))
        if self.by_class:
            figures = result.by_class.items()
            logs |= {f"val_AP/{n}": ap for n, ap in figures if not np.isnan(ap)}
        if self.on_evaluation:
            self.on_evaluation(epoch, truth, found, result)

    def measures(self, epoch: int, epochs: int) -> bool:
        """Returns whether it measures after an epoch, counted from 0, of so many."""
        return (epoch + 1) % self.every == 0 or epoch + 1 == epochs

    def _observed(self) -> tuple[GroundTruth, DetectedBoxes]:
        if self.kept_detections and (found := self.kept_detections.all()):
            return ground_truth_of(self.kept_detections.data), found
        return observe(self.model, self.data)
