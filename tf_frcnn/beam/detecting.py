"""Detection in files, as a step of a pipeline."""

from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.utils.shared import Shared

from tf_frcnn.beam.addresses import local_folder, read_file
from tf_frcnn.data import Problems
from tf_frcnn.export.exported import ExportedDetector
from tf_frcnn.runs.inference import shown_from
from tf_frcnn.runs.predictions import detect_each, entry_of

NAMESPACE = "tf_frcnn"
IMAGES, UNREADABLE, DETECTIONS = "images", "unreadable_images", "detections"
# Files whose images wait for each other, so that those of a canvas fill their batches.
_FILES = 64


class Detect(beam.PTransform):
    """From the places of files to the entries of a list.

    Args:
        model: the folder of an exported version, a path or an address.
        min_score: detections below it are left out; None for what `predict` shows.
        batch_size: most images per batch; None for the model's own number.
    """

    def __init__(
        self, model: str, min_score: float | None, batch_size: int | None = None
    ):
        super().__init__()
        self._step = _DetectInFiles(model, min_score, batch_size)
        self._count = max(_FILES, 2 * (batch_size or 1))

    def expand(self, files: beam.PCollection) -> beam.PCollection:
        """Returns the entries of files, in any order."""
        sizes = {"min_batch_size": self._count, "max_batch_size": self._count}
        return files | beam.BatchElements(**sizes) | beam.ParDo(self._step)


class _DetectInFiles(beam.DoFn):
    """Detects objects in some files; a process loads the model once, for its threads.

    Arguments as of `Detect`.
    """

    def __init__(self, model: str, min_score: float | None, batch_size: int | None):
        self._place, self._min_score, self._batch_size = model, min_score, batch_size
        self._shared = Shared()
        self._counters = {
            name: Metrics.counter(NAMESPACE, name)
            for name in (IMAGES, UNREADABLE, DETECTIONS)
        }

    def setup(self) -> None:
        """Loads the model, unless another thread of the process has done it."""
        self._model = self._shared.acquire(self._load, tag=self._place)
        usual = shown_from(self._model.settings)
        self._least = usual if self._min_score is None else self._min_score

    def process(self, element: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Yields the entry of each file, in the order of the batches."""
        found = detect_each(
            self._model, element, Problems(), self._batch_size, read_file=read_file
        )
        for result in found:
            entry = entry_of(result, self._least)
            self._counters[IMAGES].inc()
            self._counters[UNREADABLE].inc(int("error" in entry))
            self._counters[DETECTIONS].inc(len(entry.get("detections", ())))
            yield entry

    def _load(self) -> ExportedDetector:
        # Once it is loaded, nothing is read from its files any more.
        with local_folder(self._place) as folder:
            return ExportedDetector(folder)
