"""Warnings of trainings that would learn nothing, before hours are lost."""

import warnings

import keras
import numpy as np

from tf_frcnn.data.examples import ExampleSet
from tf_frcnn.doctor.classes import class_findings, class_table

# Steps after which no image seems to have room for an anchor, or to have an object.
_STEPS_WITHOUT_ANCHORS, _STEPS_WITHOUT_OBJECTS = 10, 50
# How many times the loss of the first step is a loss that has exploded.
_EXPLODED = 1e6
# How far the learning rate of an image may be from the recipe's.
_RATE_FACTOR = 5.0


def advise_on_data(model, data: ExampleSet) -> None:
    """Warns of data that would waste a training.

    These are classes without an example, a set without any, a class of the background,
    and one class under two names.
    """
    counts = np.zeros(len(model.class_names), int)
    for record in data.records:
        is_learned = ~record.difficult | model.settings.data.train_on_difficult
        labels = record.labels[is_learned & ~record.crowd]
        counts += np.bincount(labels, minlength=len(counts))
    missing = [
        n for n, count in zip(model.class_names, counts, strict=True) if not count
    ]
    if not counts.any():
        _warn(f"{data.name}: no image has an object to learn; all are negative.")
    elif missing and model.roi_head is not None:
        _warn(
            f"{data.name} has no example of {', '.join(missing)}, which the model will "
            "not learn."
        )
    for finding in class_findings(class_table({data.name: data}), data.name):
        if finding.kind in ("background_class", "near_equal_names"):
            _warn(f"{data.name}: {finding.message} {finding.remedy}")


def advise_on_rate(model, batch_size: int) -> None:
    """Warns of a constant learning rate that is far from the recipe's for an image.

    Args:
        model: the detector, compiled.
        batch_size: images per step.
    """
    train, own_size = model.settings.train, model.settings.data.batch_size
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    is_of_recipe = type(optimizer).__name__.lower() == train.optimizer
    if not is_of_recipe or not isinstance(optimizer.learning_rate, keras.Variable):
        return
    rate = float(optimizer.learning_rate.numpy())  # Also under a strategy.
    batch_size *= optimizer.gradient_accumulation_steps or 1
    times = (rate / batch_size) / (train.learning_rate / own_size)
    if times and not 1 / _RATE_FACTOR <= times <= _RATE_FACTOR:
        _warn(
            f"A learning rate of {rate:g} at a batch size of {batch_size} is "
            f"{times:.2g} times the recipe's for each image; the recipe has "
            f"{train.learning_rate:g} at {own_size}."
        )


class LossAdvice(keras.callbacks.Callback):
    """Warns where losses stay exactly 0 because nothing is sampled.

    It does so after a few steps, or at the end of a shorter epoch.

    Args:
        objects_are_known: whether the data were looked through for objects.
    """

    def __init__(self, objects_are_known: bool = False):
        super().__init__()
        self._steps = 0
        self._lacks_anchors, self._lacks_objects = True, not objects_are_known

    def on_train_batch_end(self, batch, logs=None):
        """Looks at the means of the losses so far."""
        self._steps += 1
        if logs.get("rpn_class_loss", 1.0) > 0.0:
            self._lacks_anchors = False
        if any(loss > 0.0 for name, loss in logs.items() if name.endswith("box_loss")):
            self._lacks_objects = False
        if self._lacks_anchors and self._steps == _STEPS_WITHOUT_ANCHORS:
            self._tell()
        if self._lacks_objects and self._steps == _STEPS_WITHOUT_OBJECTS:
            self._tell()

    def on_epoch_end(self, epoch, logs=None):
        """Warns of what all images of the first epoch lack."""
        if self._steps:
            self._tell()

    def _tell(self):
        if self._lacks_anchors:
            _warn(
                "No anchor is sampled: none fits inside an image, and the RPN learns "
                "nothing (its losses are 0). Take smaller anchors (anchors.scales or "
                "anchors.sizes) or larger images (images.short_side)."
            )
        elif self._lacks_objects:
            _warn("There was no object so far: are all images negative?")
        self._lacks_anchors = self._lacks_objects = False


class ExplosionAdvice(keras.callbacks.Callback):
    """Warns once of a loss that is a million times that of the first step.

    Args:
        initial_batch: of the first epoch, which goes on there.
    """

    def __init__(self, initial_batch: int = 0):
        super().__init__()
        self._done, self._is_told = initial_batch, False
        self._first: float | None = None
        self._sum: float | None = None

    def on_epoch_begin(self, epoch, logs=None):
        """Starts the sum of an epoch; of one that goes on it is not known yet."""
        self._sum = None if self._done else 0.0

    def on_train_batch_end(self, batch, logs=None):
        """Looks at the loss of the step, of which the mean so far tells."""
        before, steps = self._sum, self._done + batch + 1
        now = logs["loss"] * steps * (1.0 - logs.get("skipped", 0.0))
        self._sum = now
        if before is None or now == before:
            return
        loss = now - before
        if self._first is None:
            self._first = loss
        if loss > _EXPLODED * self._first and not self._is_told:
            self._is_told = True
            _warn(
                f"The loss has exploded: {loss:.3g} after {self._first:.3g} in the "
                "first step. Lower the learning rate, clip the gradients' norm or "
                "warm up longer."
            )

    def on_epoch_end(self, epoch, logs=None):
        """Notes that later epochs start at their beginning."""
        self._done = 0


def _warn(message: str) -> None:
    warnings.warn(message, stacklevel=2)
