"""Images of which some detections may have been cut off."""

from collections.abc import Iterable, Iterator

from tf_frcnn.config import Config
from tf_frcnn.runs.predictions import ImageResult


class FullLists:
    """Counts images that have as many detections as there is room for.

    Args:
        settings: of the model, which have the limits.
        min_score: detections below it do not count.
    """

    def __init__(self, settings: Config, min_score: float):
        limit, of_all = (
            f"{part.path('max_per_image')} = {part.max_per_image}"
            for part in (settings.detections, settings.tiles)
        )
        has_tiles = settings.tiles.size is not None
        self._limits = f"{limit} (of a tile) or {of_all}" if has_tiles else limit
        self._min_score = min_score
        self._count, self._first = 0, ""

    def noted(self, results: Iterable[ImageResult]) -> Iterator[ImageResult]:
        """Yields results, and counts those that are full."""
        for result in results:
            found = result.found
            if found is not None and found.cut_below is not None:
                if found.cut_below >= self._min_score:
                    self._count += 1
                    self._first = self._first or result.file
            yield result

    def report(self) -> None:
        """Prints how many images are full, if any is."""
        if self._count:
            print(
                f"Note: images with as many detections as {self._limits} allows, so "
                f"that some may be missing: {self._count}, such as {self._first}."
            )
