"""Callbacks for `fit`, beside those of Keras."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tf_frcnn.data.examples import ExampleSet
from tf_frcnn.evaluation import DetectedBoxes
from tf_frcnn.models.evaluating import evaluate_boxes, observe


class MeanAveragePrecision(keras.callbacks.Callback):
    """Adds `val_mAP` to the logs, where other callbacks monitor it.

    Wherever it stands in the list, `fit` calls it before callbacks that only read the
    logs. A mean over no class is 0.

    Args:
        data: the validation data, as `fit` takes them.
        every: epochs from one measurement to the next; the last one is measured too.
        on_detections: called with the epoch (from 0) and the detections.
        **metric: as of `tf_frcnn.evaluate`.
    """

    adds_to_logs = True

    def __init__(
        self,
        data: ExampleSet | tf.data.Dataset,
        *,
        every: int = 1,
        on_detections: Callable[[int, DetectedBoxes], None] | None = None,
        **metric: Any,
    ):
        super().__init__()
        self.data, self.every = data, every
        self.on_detections, self.metric = on_detections, metric

    def on_epoch_end(self, epoch, logs=None):
        """Detects, measures, and adds the result to the logs."""
        if (epoch + 1) % self.every and epoch + 1 < self.params["epochs"]:
            return
        truth, found = observe(self.model, self.data)
        result = evaluate_boxes(self.model, truth, found, **self.metric)
        logs["val_mAP"] = float(np.nan_to_num(result.mean))
        if self.on_detections:
            self.on_detections(epoch, found)
