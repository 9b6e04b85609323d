"""Canvases: the few sizes that images are padded to, so that few graphs are traced."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from tf_frcnn.data.checks.problems import DataError
from tf_frcnn.data.decoding.resizing import Resizing, plan_resize
from tf_frcnn.data.decoding.to_canvas import own_canvases, smallest_canvas
from tf_frcnn.data.examples import Record

Canvas = tuple[int, int]


def derive_canvases(
    short_sides: int | Sequence[int], long_side: int, multiple: int = 32
) -> tuple[Canvas, ...]:
    """Returns the few canvases that resized images are padded to.

    For each short side they are a square, 4:3 and the longest allowed, the latter two
    both portrait and landscape.

    Args:
        short_sides: one or several limits of `plan_resize`, in pixels.
        long_side: the other limit.
        multiple: sides are rounded up to a multiple of this.

    Returns:
        (height, width) of each, smallest area first.
    """

    def of_side(short_side):
        longer_sides = (short_side, min(-(-short_side * 4 // 3), long_side), long_side)
        up = [-(-side // multiple) * multiple for side in (short_side, *longer_sides)]
        return {(up[0], side) for side in up[1:]} | {(side, up[0]) for side in up[1:]}

    sides = [short_sides] if isinstance(short_sides, int) else short_sides
    canvases = set().union(*map(of_side, sides))
    return tuple(sorted(canvases, key=lambda canvas: (canvas[0] * canvas[1], canvas)))


def network_sizes(records: Sequence[Record], resizing: Resizing) -> np.ndarray:
    """Returns int64 [n, sides, 2], the sizes of n images at each short side."""
    heights, widths = np.array([(r.height, r.width) for r in records], np.int64).T
    plans = [
        plan_resize(heights, widths, side, resizing.long_side, resizing.method)
        for side in resizing.short_sides
    ]
    return np.stack([plan.sizes for plan in plans], axis=1)


def listed_canvases(
    sizes: np.ndarray, canvases: Sequence[Canvas] | int
) -> tuple[Canvas, ...]:
    """Returns the canvases as a list, the images' own where a multiple is given.

    Args:
        sizes: int64 [..., 2], (height, width) in pixels.
        canvases: (height, width) of each, or the multiple of `own_canvases`.
    """
    if not isinstance(canvases, int):
        return tuple(canvases)
    own = own_canvases(sizes, canvases).reshape(-1, 2)
    return tuple(map(tuple, np.unique(own, axis=0).tolist()))


def canvas_groups(
    records: Sequence[Record], sizes: np.ndarray, canvases: Sequence[Canvas]
) -> np.ndarray:
    """Returns int64 [n]: row of the smallest canvas for each largest size.

    The canvas holds the smaller sizes as well, since neither side of an image shrinks
    when its short side is to be longer.

    Args:
        records: n records, for the message.
        sizes: int64 [n, sides, 2], in network pixels; see `network_sizes`.
        canvases: (height, width) in pixels.

    Raises:
        DataError: no canvas holds an image.
    """
    largest = sizes.max(axis=1)
    fits = (largest[:, None] <= np.array(canvases).reshape(-1, 2)).all(axis=2)
    if not fits.any(axis=1).all():
        row = int(np.argmin(fits.any(axis=1)))
        raise DataError(
            f"images.canvases: {records[row].source} becomes {largest[row, 0]} x "
            f"{largest[row, 1]} pixels (height x width), but none of {tuple(canvases)} "
            "holds it; add a larger canvas or leave the list empty."
        )
    return smallest_canvas(largest, tf.constant(canvases, tf.int64)).numpy()
