"""The size of its image that an annotation states, and what follows if it is wrong."""

from collections.abc import Callable

import numpy as np

from tf_frcnn.data.checks.images import ImageFacts, turn_boxes_upright
from tf_frcnn.data.checks.problems import Problems

# Files have six decimal places, and a corner is the sum of two of their numbers.
SHARE_ROUNDING = 2e-6

Move = Callable[[np.ndarray], np.ndarray]


def move_to_image(
    stated: tuple[int, int] | None, facts: ImageFacts, problems: Problems, file: str
) -> Move | None:
    """Returns how boxes drawn on an image of the stated size come to lie on the image.

    They are turned with an image that is stored turned, and scaled with one that was
    resized, all sides by one ratio. With any other size nobody knows where they belong.

    Args:
        stated: (height, width) in the annotation, in pixels; None: it states none.
        facts: of the image.
        problems: records a `wrong_size`.
        file: name for messages.

    Returns:
        A function from float [n, 4], (ymin, xmin, ymax, xmax), continuous corners in
        pixels of the stated size, to the same in the upright image. None: the image is
        to be dropped.
    """
    upright = facts.upright_size
    if stated is None or stated == upright:
        return lambda boxes: boxes
    height, width = stated
    detail = f"it says {width} x {height} pixels, but the upright image has "
    detail += f"{upright[1]} x {upright[0]}"
    if stated == (facts.stored_height, facts.stored_width):
        action = problems.add("wrong_size", file, f"{detail}; boxes are turned with it")
        return None if action == "drop" else lambda b: turn_boxes_upright(b, facts)
    if not _is_resized(height, width, *upright):
        detail += "; the sides differ by no common ratio"
        problems.add("wrong_size", file, detail, "drop")
        return None
    action = problems.add("wrong_size", file, f"{detail}; boxes are scaled with it")
    ratios = np.tile([upright[0] / height, upright[1] / width], 2)
    return None if action == "drop" else lambda boxes: boxes * ratios


def shares_to_image(stated: tuple[int, int] | None, facts: ImageFacts) -> Move:
    """Returns how boxes as shares of the image's sides become pixels of the image.

    Shares need no size. One that is stated tells whether they are of an image as it is
    stored, turned; they are turned with it.

    Args:
        stated: (height, width) in the annotation, in pixels, or None.
        facts: of the image.

    Returns:
        A function from float [n, 4], (ymin, xmin, ymax, xmax) in 0..1, to continuous
        corners in pixels of the upright image. They are rounded to 0.001 pixels, what
        float32 leaves of whole ones.
    """
    stored = (facts.stored_height, facts.stored_width)
    is_turned = stated == stored != facts.upright_size
    height, width = stored if is_turned else facts.upright_size

    def move(shares):
        # Decimal places that were cut off are no reason to lie outside.
        is_near = (shares > -SHARE_ROUNDING) & (shares < 1 + SHARE_ROUNDING)
        shares = np.where(is_near, shares.clip(0, 1), shares)
        boxes = np.round(shares * [height, width, height, width], 3)
        return turn_boxes_upright(boxes, facts) if is_turned else boxes

    return move


def _is_resized(height: int, width: int, new_height: int, new_width: int) -> bool:
    """Says whether one ratio leads from a size to another, but for rounded pixels."""
    if min(height, width) < 1:
        return False
    return (
        abs(new_height * width / height - new_width) < 1
        or abs(new_width * height / width - new_height) < 1
    )
