"""The canvases that waste least on the shapes of a data set's images."""

from collections.abc import Collection, Sequence

import numpy as np

from tf_frcnn.assembly import backbone_of, build_resizing
from tf_frcnn.config import Config
from tf_frcnn.data.examples import Record
from tf_frcnn.data.pipeline.canvases import (
    Canvas,
    canvas_groups,
    derive_canvases,
    network_sizes,
)
from tf_frcnn.doctor.training import Choice

# Canvases are as few as keep the padding below this share, but at most so many.
_PADDING, _MOST = 0.03, 12
# Padding that other canvases must save, as a share of the canvases.
_WORTH_CHANGING = 0.01
# Sides are multiples of it, so that near sizes share a canvas from the start.
_STEP = 4
# Sides of a feature pyramid's images are multiples of it, as at torchvision.
_OF_LEVELS = 32
_PATHS = ("images.canvases", "images.pad_to", "data.train_short_sides")


def canvas_choices(
    records: Sequence[Record], config: Config, keep: Collection[str] = ()
) -> list[Choice]:
    """Returns the canvases that fit a data set, if the usual ones waste more.

    Without XLA an image that is alone in its batch needs none.

    Args:
        records: of the training split.
        config: with the size of the images.
        keep: dotted paths of settings that stay as they are.
    """
    images = config.images
    is_set = images.pad_to or config.data.train_short_sides or {*_PATHS} & {*keep}
    if is_set or images.long_side is None:
        return []
    has_levels = len(backbone_of(config).strides) > 1
    multiples = (_OF_LEVELS, _OF_LEVELS) if has_levels else (1, _STEP)
    usual = derive_canvases(images.short_side, images.long_side)
    sizes = network_sizes(records, build_resizing(images))
    wasted = padding(records, sizes, usual)
    if config.data.batch_size == 1 and not config.train.jit_compile:
        choice = _own_canvases(wasted, multiples[0])
        return [choice] if wasted >= _WORTH_CHANGING else []
    fitted = fit_canvases(sizes[:, 0], multiples[1])
    canvases = (*fitted, *(c for c in usual if c not in fitted))
    left = padding(records, sizes, canvases)
    reason = (
        f"{_first(len(fitted))} these images: {left:.1%} padding where the usual ones "
        f"have {wasted:.1%}. The others are for images of other shapes."
    )
    saves = wasted - left >= _WORTH_CHANGING
    return [Choice({"images.canvases": canvases}, reason)] if saves else []


def _first(count: int) -> str:
    return "The first one fits" if count == 1 else f"The first {count} fit"


def _own_canvases(wasted: float, multiple: int) -> Choice:
    """Returns the choice that each image has its own canvas."""
    reason = (
        f"The usual canvases would have {wasted:.1%} padding; an image alone in its "
        "batch needs none. For larger batches leave pad_to out."
    )
    return Choice({"images.canvases": (), "images.pad_to": multiple}, reason)


def padding(
    records: Sequence[Record], sizes: np.ndarray, canvases: Sequence[Canvas]
) -> float:
    """Returns the padding as a share of the canvases.

    Args:
        records: n of them, for messages.
        sizes: int64 [n, 1, 2], their (height, width) in network pixels.
        canvases: (height, width) of each.
    """
    areas = np.prod(np.array(canvases), axis=1)
    rows = canvas_groups(records, sizes, canvases)
    return 1 - np.prod(sizes[:, 0], axis=1).sum() / areas[rows].sum()


def fit_canvases(sizes: np.ndarray, multiple: int) -> tuple[Canvas, ...]:
    """Returns the canvases that waste least on images, smallest area first.

    Canvases of single images are merged, at each step the two whose common canvas adds
    least padding.

    Args:
        sizes: int64 [n, 2], (height, width) in network pixels.
        multiple: of the canvases' sides.
    """
    rounded = -(-sizes // multiple) * multiple
    canvases, counts = np.unique(rounded, axis=0, return_counts=True)
    pixels = np.prod(sizes, axis=1).sum()
    while len(canvases) > 1:
        merged = np.maximum(canvases[:, np.newaxis], canvases)
        areas = canvases.prod(axis=1) * counts
        both = merged.prod(axis=2) * (counts[:, np.newaxis] + counts)
        added = (both - areas[:, np.newaxis] - areas).astype(float)
        np.fill_diagonal(added, np.inf)
        first, second = np.unravel_index(np.argmin(added), added.shape)
        padded = 1 - pixels / (areas.sum() + added[first, second])
        if len(canvases) <= _MOST and padded > _PADDING:
            break
        canvases[first] = merged[first, second]
        counts[first] += counts[second]
        canvases, counts = (np.delete(v, second, axis=0) for v in (canvases, counts))
    by_area = sorted(map(tuple, canvases.tolist()), key=lambda c: (c[0] * c[1], c))
    return tuple(by_area)
