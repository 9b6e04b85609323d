"""Figures of an epoch beside its losses."""

import time

import keras

from tf_frcnn.models.trackers import Sum
from tf_frcnn.models.waiting import WaitingAdvice

# What depends on the machine, and is another number in each training.
TIMES = ("images_per_second", "data_wait")


class TrainingFigures(keras.callbacks.Callback):
    """Adds figures of the training to the logs, where Keras's loggers find them.

    They come out of the training step itself, and the losses are the same without them.

    - `gradient_norm`: of all gradients together, before they are clipped; without that
      of the weight decay where the optimizer adds it;
    - `positive_anchors`: sampled anchors per image that have to find an object;
    - `foreground_rois`: sampled RoIs per image that learn an object, and
      `foreground_rois/NAME`, those of each class;
    - `proposal_recall`: share of the objects that a proposal overlaps by an IoU of at
      least 0.5;
    - `images_per_second`, without the first step, which makes the graph;
    - `data_wait`: share of the time in which a step waited for data; not with several
      devices, nor where operations are to be deterministic.

    The means are those of the steps of an epoch.

    Attributes:
        waiting: set by `fit` where it is measured.
    """

    adds_to_logs = True
    waiting: WaitingAdvice | None = None

    def on_epoch_begin(self, epoch, logs=None):
        """Begins anew."""
        self.model.trackers.figures.set_sums({})
        self._steps = 0

    def on_train_batch_end(self, batch, logs=None):
        """Notes the time."""
        self._now = time.perf_counter()
        self._steps += 1
        if self._steps == 1:
            self._start, self._before = self._now, self._images()

    def on_epoch_end(self, epoch, logs=None):
        """Adds the figures."""
        logs |= self._means() | self._times()

    def _means(self) -> dict[str, float]:
        sums = self.model.trackers.figures.sums()
        means = {name: own.mean for name, own in sums.items()}
        names = {"gradient_norm", "positive_anchors"} & means.keys()
        found = {name: means[name] for name in sorted(names)}
        of_class = {
            f"foreground_rois/{name.removeprefix('class_rois/')}": mean
            for name, mean in means.items()
            if name.startswith("class_rois/")
        }
        if of_class:
            found |= {"foreground_rois": _whole(sums).mean} | of_class
        if objects := means.get("objects"):
            found["proposal_recall"] = means["covered_objects"] / objects
        return found

    def _times(self) -> dict[str, float]:
        if self._steps < 2:
            return {}
        pace = (self._images() - self._before) / (self._now - self._start)
        times = {"images_per_second": pace}
        if self.waiting is not None:
            times["data_wait"] = self.waiting.share()
        return times

    def _images(self) -> float:
        own = self.model.trackers.figures.sums().get("images")
        return own.total if own else 0.0


def _whole(sums: dict[str, Sum]) -> Sum:
    """Returns the sum over all classes."""
    own = [value for name, value in sums.items() if name.startswith("class_rois/")]
    return Sum(sum(value.total for value in own), own[0].weight)
