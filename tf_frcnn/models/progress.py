"""The progress bar of a training, in images."""

import time

import keras

# What the bar shows of the logs; a log file keeps all.
_SHOWN = ("loss", "val_loss", "val_mAP", "val_recall")


class Progress(keras.callbacks.Callback):
    """Shows the total loss, images per second and the time to the epoch's end.

    Args:
        num_images: per epoch; None if it is not known, then the first epoch tells.
        steps: per epoch; None for a full batch each, but the last.
        batch_size: most images per step.
        verbose: 1 for a bar, 2 for a line per epoch.
    """

    def __init__(
        self, num_images: int | None, steps: int | None, batch_size: int, verbose: int
    ):
        super().__init__()
        self._num_images, self._verbose = num_images, verbose
        self._per_step = num_images / steps if num_images and steps else batch_size

    def on_epoch_begin(self, epoch, logs=None):
        """Starts a bar."""
        if self.params["epochs"] > 1:
            print(f"Epoch {epoch + 1}/{self.params['epochs']}")
        self._start, self._seen = time.perf_counter(), 0
        self._bar = keras.utils.Progbar(
            self._num_images,
            verbose=self._verbose,
            stateful_metrics=[*_SHOWN, "images/s"],
            unit_name="image",
        )

    def on_train_batch_end(self, batch, logs=None):
        """Moves the bar."""
        seen = round((batch + 1) * self._per_step)
        self._seen = min(seen, (self._num_images or seen + 1) - 1)
        rate = seen / (time.perf_counter() - self._start)
        if self._verbose == 1:
            values = [*self._shown(logs), ("images/s", rate)]
            self._bar.update(self._seen, values, finalize=False)

    def on_epoch_end(self, epoch, logs=None):
        """Completes the bar, with the figures of the validation."""
        if self._num_images is None:
            self._num_images = self._bar.target = self._seen
        self._bar.update(self._num_images, self._shown(logs), finalize=True)

    def _shown(self, logs):
        return [(name, logs[name]) for name in _SHOWN if name in (logs or {})]
