"""The progress of a training, in images."""

import sys
import time

import keras

from tf_frcnn.models.batches import Batches

# What is shown of the logs; History and log files keep all.
_SHOWN = ("loss", "val_loss", "val_mAP", "val_recall")
_BAR_WIDTH = 20
# Seconds from one line to the next that replaces it; or that follows it, in a file.
_PAUSE, _PAUSE_IN_FILES = 0.1, 60.0


class Progress(keras.callbacks.Callback):
    """Shows the total loss, images per second and the time to the epoch's end.

    A terminal and a notebook get one line of less than 80 columns that is written again
    and again, and anything else a line per minute; all get a line per epoch. The first
    step of an epoch, which may trace the graph, does not count in the time left.

    Args:
        batches: of the training; where the number of its images is not known, the first
            epoch tells, and where there are batches alone, steps are counted.
        batch_size: most images per step.
        verbose: 1 for all of it, 2 for the line per epoch.
        initial_batch: of the first epoch, which goes on there.
    """

    def __init__(
        self, batches: Batches, batch_size: int, verbose: int, initial_batch: int = 0
    ):
        super().__init__()
        self._done = initial_batch
        self._stream, self._verbose = batches.stream, verbose
        self._counts_steps = batches.stream is None and batches.num_images is None
        self._unit = "step" if self._counts_steps else "image"
        self._per_step = batches.images_per_step(
            1 if self._counts_steps else batch_size
        )
        self._total = batches.num_images
        self._pace: float | None = None  # seconds per image or step

    def on_train_begin(self, logs=None):
        """Notes whether a line can be written again."""
        in_notebook = type(sys.stdout).__module__.startswith("ipykernel.")
        self._moves = sys.stdout.isatty() or in_notebook
        self._pause = _PAUSE if self._moves else _PAUSE_IN_FILES

    def on_epoch_begin(self, epoch, logs=None):
        """Starts an epoch."""
        if self.params["epochs"] > 1:
            print(f"Epoch {epoch + 1}/{self.params['epochs']}", flush=True)
        if self._counts_steps and self.params["steps"]:
            self._total = self.params["steps"]
        self._start = self._now = self._last_line = time.perf_counter()
        self._seen, self._width, self._first = 0, 0, None
        self._before = round(self._done * self._per_step)

    def on_train_batch_end(self, batch, logs=None):
        """Writes a line, if it is time to."""
        self._now = time.perf_counter()
        self._seen = round((self._done + batch + 1) * self._per_step)
        self._first = self._first or (self._now, self._seen)
        if self._seen > self._first[1]:
            passed = self._now - self._first[0]
            self._pace = passed / (self._seen - self._first[1])
        if self._verbose == 1 and self._now - self._last_line >= self._pause:
            self._last_line = self._now
            self._write(f"{self._position()} - {self._figures(logs)}", self._moves)

    def on_epoch_end(self, epoch, logs=None):
        """Writes the line of the epoch, with the figures of the validation."""
        if self._total is None:
            self._total = (
                self._seen if self._stream is None else int(self._stream.num_read)
            )
        self._seen = min(self._seen, self._total)
        self._done = 0
        seconds = time.perf_counter() - self._start
        self._write(f"{_clock(seconds)} - {self._figures(logs)}", stays=False)

    def _position(self):
        """Returns how far the epoch has come, and, once known, the time to its end."""
        if not self._total:
            return f"{self._seen} {self._unit}s - {_clock(self._now - self._start)}"
        seen = min(self._seen, self._total)
        bar = "=" * (_BAR_WIDTH * seen // self._total)
        position = f"{seen}/{self._total} [{bar:.<{_BAR_WIDTH}}]"
        if self._pace is None:
            return position
        return f"{position} {_clock(self._pace * (self._total - seen))}"

    def _figures(self, logs):
        seen = max(self._seen - self._before, 0)
        rate = seen / max(self._now - self._start, 1e-6)
        figures = [f"{n}: {logs[n]:.4f}" for n in _SHOWN if n in (logs or {})]
        return " - ".join([f"{rate:.1f} {self._unit}s/s", *figures])

    def say(self, line: str) -> None:
        """Writes a line for good, in place of the one that is written again."""
        self._write(line, stays=False)

    def _write(self, line, stays):
        """Writes over the last line that stays where it is."""
        text = f"\r{line:<{self._width}}" if self._width else line
        self._width = len(line) if stays else 0
        print(text, end="" if stays else "\n", flush=True)


def _clock(seconds):
    """Returns a duration as 9s, 1:09 or 1:00:09."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{seconds:02}"
    return f"{minutes}:{seconds:02}" if minutes else f"{seconds}s"
