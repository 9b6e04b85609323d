"""Images that have as many detections as an image may have."""

from collections.abc import Iterable, Iterator

from tf_frcnn.config import Config
from tf_frcnn.runs.predictions import ImageResult


class FullLists:
    """Counts images whose detections may have been cut off at the limit.

    Args:
        settings: of the model, which have the limit.
        min_score: detections below it do not count.
    """

    def __init__(self, settings: Config, min_score: float):
        own, tiles = settings.detections.max_per_image, settings.tiles
        self._limit, self._name = own, "detections.max_per_image"
        if tiles.size is not None and tiles.max_per_image > own:
            self._limit, self._name = tiles.max_per_image, "tiles.max_per_image"
        self._min_score = min_score
        self._count, self._first = 0, ""

    def noted(self, results: Iterable[ImageResult]) -> Iterator[ImageResult]:
        """Yields results, and counts those that are full."""
        for result in results:
            if result.found is not None:
                listed = (result.found.scores >= self._min_score).sum()
                if listed >= self._limit:
                    self._count += 1
                    self._first = self._first or result.file
            yield result

    def report(self) -> None:
        """Prints how many images are full, if any is."""
        if self._count:
            print(
                f"Note: images with {self._limit} detections, as many as {self._name} "
                f"allows, so that some may be missing: {self._count}, such as "
                f"{self._first}."
            )
