"""The best score of images, which says why none of their boxes is shown."""

from collections.abc import Iterable, Iterator

from tf_frcnn.runs.predictions import ImageResult


class BestScore:
    """Keeps the best score of images, and tells of it where it is too low.

    Args:
        min_score: detections below it are not shown.
    """

    def __init__(self, min_score: float):
        self._min_score, self._best = min_score, 0.0

    def noted(self, results: Iterable[ImageResult]) -> Iterator[ImageResult]:
        """Yields results, and keeps the best score."""
        for result in results:
            if result.found is not None:
                scores = result.found.scores
                self._best = max(self._best, scores.max(initial=0.0))
            yield result

    def report(self) -> None:
        """Prints the best score, if it is too low to be shown."""
        if self._best < self._min_score:
            print(
                f"Note: in these images no score reaches {self._min_score:g}; the "
                f"best is {self._best:.3g}. --min-score shows lower ones; longer "
                "training raises them."
            )
