"""Image sizes that come into question for a data set."""

import math

import numpy as np

from tf_frcnn.assembly import backbone_of
from tf_frcnn.config import Config
from tf_frcnn.data import ExampleSet

# Images are enlarged until so many objects can be reached (the mean of the classes).
REACH_WANTED = 0.98
_FINE_STRIDE = 4  # of the first map of a pyramid
# They do not exceed the pixels of torchvision's 800 x 1333.
_MOST_PIXELS = 800 * 1333
_GROWTH, _MULTIPLE = 1.25, 16
# Images whose longer side is in proportion to this one's keep their short side.
_ASPECT_QUANTILE = 0.95


def advised_sizes(
    examples: ExampleSet, config: Config, may_shrink: bool
) -> list[tuple[int, int]]:
    """Returns the (short side, long side) that come into question, smallest first.

    The first is the configuration's, or that of the median file where it is smaller:
    larger images show no more detail. The others, each 1.25 times the one before, give
    small objects more cells.

    Args:
        examples: the training split.
        config: its `images` are read.
        may_shrink: whether the first may be smaller than the configuration's.
    """
    sides = np.array([(r.height, r.width) for r in examples.records])
    shorter, longer = sides.min(axis=1), sides.max(axis=1)
    aspect = float(np.quantile(longer / shorter, _ASPECT_QUANTILE))
    own = config.images
    side = float(np.median(shorter))
    if side > own.short_side or not may_shrink:
        side = float(own.short_side)
        sizes = [(own.short_side, own.long_side or _rounded(side, aspect)[1])]
    else:
        short, long = _rounded(side, aspect)
        most = _MOST_PIXELS // short // _MULTIPLE * _MULTIPLE
        sizes = [(short, max(min(long, most), short))]
    while True:
        side *= _GROWTH
        short, long = _rounded(side, aspect)
        if short * long > _MOST_PIXELS:
            return sizes
        sizes.append((short, long))


def following_long_side(examples: ExampleSet, short_side: int) -> int:
    """Returns the long side that lets most images keep a short side."""
    sides = np.sort([(r.height, r.width) for r in examples.records], axis=1)
    aspect = float(np.quantile(sides[:, 1] / sides[:, 0], _ASPECT_QUANTILE))
    return math.ceil(round(short_side * aspect / _MULTIPLE, 3)) * _MULTIPLE


def _rounded(side: float, aspect: float) -> tuple[int, int]:
    """Returns short and long side as multiples of 16 pixels."""
    short = math.ceil(round(side, 3) / _MULTIPLE) * _MULTIPLE
    return short, math.ceil(round(short * aspect, 3) / _MULTIPLE) * _MULTIPLE


def size_reason(
    examples: ExampleSet,
    config: Config,
    size: tuple[int, int],
    limit: float,
    first_limit: float,
) -> str:
    """Returns why images should have a size.

    Args:
        examples: the training split.
        config: the configuration that the advice starts from.
        size: (short side, long side) that is advised.
        limit: share of the objects that can be reached there, the mean of the classes.
        first_limit: that at the first of `advised_sizes`.
    """
    sides = np.sort([(r.height, r.width) for r in examples.records], axis=1)
    short, long = np.median(sides, axis=0)
    files = f"The files have {short:.0f} x {long:.0f} pixels (median)"
    reach = f"{limit:.1%} of the objects can be reached (mean of the classes)"
    more = ""
    if limit < REACH_WANTED and min(backbone_of(config).strides) > _FINE_STRIDE:
        more = " The smaller cells of a pyramid would reach more."
    if limit > first_limit:
        before = f"instead of {first_limit:.1%} at the smallest size"
        return f"{files}. With a short side of {size[0]}, {reach}, {before}.{more}"
    if short <= config.images.short_side:
        return f"{files}; larger ones show no more detail, and {reach}.{more}"
    return f"{files}; at {size[0]} x {size[1]} {reach}.{more}"
