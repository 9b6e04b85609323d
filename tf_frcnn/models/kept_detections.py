"""Detections that are kept while the losses of a validation are computed."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras.callbacks import SwapEMAWeights

from tf_frcnn.data.examples import ExampleSet
from tf_frcnn.evaluation import DetectedBoxes
from tf_frcnn.models.detecting import detected_in

_NAMES = ("boxes", "scores", "labels", "valid")


class KeptDetections(keras.callbacks.Callback):
    """Keeps what is detected in the images of a validation, so that none is seen twice.

    Args:
        data: the validation set.
    """

    def __init__(self, data: ExampleSet):
        super().__init__()
        self.data = data
        self._parts: list[tuple[np.ndarray, ...]] = []
        self._count, self._is_open = 0, False

    def on_epoch_begin(self, epoch, logs=None):
        """Forgets those of earlier weights."""
        self._parts, self._count = [], 0

    def on_test_begin(self, logs=None):
        """Keeps what `fit` validates, and not what a callback evaluates on its own."""
        self._is_open = True

    def on_test_end(self, logs=None):
        """Keeps no more."""
        self._is_open = False

    def keep(self, rows: tf.Tensor, found: dict[str, tf.Tensor]) -> None:
        """Keeps the detections of a batch, as a part of a graph.

        Args:
            rows: int [B], numbers of the images.
            found: `Detections` as a dict.
        """
        tf.numpy_function(self._keep, [rows, *(found[name] for name in _NAMES)], [])

    def all(self) -> DetectedBoxes | None:
        """Returns all detections of the last validation; None if it did not end."""
        if not self._parts or self._count != len(self.data.records):
            return None
        return DetectedBoxes(*map(np.concatenate, zip(*self._parts, strict=True)))

    def _keep(self, rows, boxes, scores, labels, valid):
        if not self._is_open:
            return
        found = dict(zip(_NAMES, (boxes, scores, labels, valid), strict=True))
        self._parts.append(detected_in(found, rows))
        self._count += len(rows)


@contextlib.contextmanager
def detections_kept(
    model: Any,
    data: Any,
    callbacks: Sequence[keras.callbacks.Callback],
    epochs: int,
    validation_freq: int | Sequence[int],
) -> Iterator[list[KeptDetections]]:
    """Has validations detect too, where a callback measures the same data.

    Where several devices or workers share them, where images are cut into tiles, and
    where the weights are others when the callbacks are called, these detect alone; so
    they do where not every validation is measured.

    Args:
        model: the detector.
        data: what `fit` validates.
        callbacks: of `fit`; those that measure have `data`, `kept_detections` and
            `measures`.
        epochs: of `fit`.
        validation_freq: of `fit`.

    Yields:
        The callbacks to add.
    """
    validated = (
        range(validation_freq - 1, epochs, validation_freq)
        if isinstance(validation_freq, int)
        else [number - 1 for number in validation_freq]
    )
    measuring = [
        callback
        for callback in callbacks
        if hasattr(callback, "kept_detections")
        and callback.data is data
        and all(callback.measures(epoch, epochs) for epoch in validated)
    ]
    swaps = any(isinstance(callback, SwapEMAWeights) for callback in callbacks)
    is_whole = isinstance(data, ExampleSet) and model.settings.tiles.size is None
    if not measuring or swaps or not is_whole or not model.is_alone:
        yield []
        return
    kept = KeptDetections(data)
    for callback in measuring:
        callback.kept_detections = kept
    # Keras would go on with the graph of other validations.
    model.kept_detections, model.test_function = kept, None
    try:
        yield [kept]
    finally:
        model.kept_detections, model.test_function = None, None
        for callback in measuring:
            callback.kept_detections = None
