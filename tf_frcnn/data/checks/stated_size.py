"""The size that an annotation states for its image, and the boxes drawn on that."""

from typing import NamedTuple

import numpy as np

from tf_frcnn.data.checks.images import ImageFacts, turn_boxes_upright


class Fit(NamedTuple):
    """The way of boxes from the stated size to the upright image.

    Attributes:
        scales: pixels of the image per stated pixel, along y and x.
        is_turned: whether the boxes were drawn on the image as it is stored.
    """

    scales: tuple[float, float]
    is_turned: bool

    def apply(self, boxes: np.ndarray, facts: ImageFacts) -> np.ndarray:
        """Returns boxes in the upright image.

        Args:
            boxes: float [n, 4], (ymin, xmin, ymax, xmax), continuous corners in pixels
                of the stated size.
            facts: of the image.
        """
        boxes = boxes * (self.scales * 2)
        return turn_boxes_upright(boxes, facts) if self.is_turned else boxes

    def words(self) -> str:
        """Returns what is done to the boxes, empty where nothing is."""
        done = []
        if self.scales != (1.0, 1.0):
            done.append(f"scaled by {self.scales[1]:.4g}")
        if self.is_turned:
            done.append("turned upright")
        return " and ".join(done)


def fit_to_image(stated: tuple[int, int] | None, facts: ImageFacts) -> Fit | None:
    """Returns how boxes that were drawn on the stated size fit the image.

    The stated size may be that of the upright or the stored image, or differ from it by
    one ratio of both sides, as if the image was resized later. None: it is neither.

    Args:
        stated: (height, width) in pixels; None where the annotation does not say.
        facts: of the image.
    """
    if stated is None:
        return Fit((1.0, 1.0), is_turned=False)
    stored = (facts.stored_height, facts.stored_width)
    for agree in (_are_equal, _have_one_ratio):
        for size, is_turned in ((facts.upright_size, False), (stored, True)):
            if agree(stated, size):
                scales = (size[0] / stated[0], size[1] / stated[1])
                return Fit(scales, is_turned)
    return None


def _are_equal(stated, size):
    return stated == size


def _have_one_ratio(stated, size):
    """Says whether one size is the other, resized to whole pixels.

    In the smaller image a side may be less than a pixel off, since it was rounded; not
    so where the other side is the same.
    """
    difference = abs(size[0] * stated[1] - size[1] * stated[0])
    is_resized = size[0] != stated[0] and size[1] != stated[1]
    return is_resized and difference < max(*size, *stated)
