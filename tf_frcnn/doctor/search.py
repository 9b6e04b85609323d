"""The search for a few anchors that reach the objects of a data set.

n is the number of objects, S that of candidate scales, A that of ratios.
"""

from typing import NamedTuple

import numpy as np

from tf_frcnn.assembly import backbone_of
from tf_frcnn.config import Config
from tf_frcnn.doctor.reach import Objects, best_ious

# Scales in strides, and heights over widths in steps of the root of 2.
_SCALES = (
    *(0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 7.0, 8.0),
    *(10.0, 12.0, 14.0, 16.0, 20.0, 24.0, 28.0, 32.0, 40.0, 48.0, 56.0, 64.0),
)
_RATIOS = (0.125, 0.18, 0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0)
# An IoU of 0.7 makes an anchor an object (Ren et al. 2015, section 3.1.2); more of it
# is worth nothing.
_ENOUGH_IOU = 0.7
# What another anchor must add to the score, and how much of the reach may be missed.
_LEAST_GAIN, _REACH_MISSED = 0.002, 0.005
# Weight of an IoU beyond what is enough, which decides between equals.
_TIE = 1e-3
_MOST_ANCHORS = 25  # of a position
# Objects that candidates are tried on, spread evenly over each class.
_MOST_OBJECTS, _FEWEST_OF_A_CLASS = 4_000, 50


class Fit(NamedTuple):
    """How anchors fit objects; each class counts the same, as in mAP.

    Attributes:
        scales: in strides, rising.
        ratios: heights over widths, rising.
        score: mean of the best IoU over 0.7, at most 1, in 0..1.
        reach: share of the objects that are reached at an IoU of 0.5.
        limit: the share that all candidates together reach.
    """

    scales: tuple[float, ...]
    ratios: tuple[float, ...]
    score: float
    reach: float
    limit: float


def sample_of(objects: Objects) -> Objects:
    """Returns at most about 4,000 objects, spread evenly over those of each class."""
    labels, counts = np.unique(objects.labels, return_counts=True)
    limit = max(_FEWEST_OF_A_CLASS, _MOST_OBJECTS // max(len(labels), 1))
    rows = []
    for label, count in zip(labels, counts, strict=True):
        places = np.linspace(0, count - 1, min(count, limit)).astype(int)
        rows.append(np.flatnonzero(objects.labels == label)[places])
    return objects.take(np.sort(np.concatenate(rows)))


def fit_of_own(objects: Objects, config: Config) -> Fit:
    """Returns how the configuration's own anchors fit; its limit is its reach."""
    score, reach = _fit(best_ious(objects, config), _weights(objects))
    own = config.anchors
    return Fit(own.sizes or own.scales, own.ratios, score, reach, reach)


def reach_limit(objects: Objects, config: Config) -> float:
    """Returns the `limit` of `fit_anchors`, without the search."""
    ious = _candidate_ious(objects, config, _candidate_scales(objects, config))
    return _fit(ious.max(axis=(1, 2)), _weights(objects))[1]


def fit_anchors(objects: Objects, config: Config) -> Fit:
    """Finds few scales and ratios that reach nearly all that any could.

    It starts with the best single anchor of a position, and adds the scale or the ratio
    that gains most for each further anchor, until the reach is within 0.005 of the
    candidates' and a further anchor gains little; then it leaves out what the others
    made needless.

    Args:
        objects: n objects.
        config: what `best_ious` reads; its scales and ratios are replaced.
    """
    scales = _candidate_scales(objects, config)
    ious, weights = _candidate_ious(objects, config, scales), _weights(objects)
    limit = _fit(ious.max(axis=(1, 2)), weights)[1]
    chosen = _grow(ious, weights, limit)
    chosen = _prune(ious, weights, limit, chosen)
    score, reach = _fit(_best(ious, chosen), weights)
    return Fit(
        tuple(float(scales[i]) for i in sorted(chosen[1])),
        tuple(_RATIOS[i] for i in sorted(chosen[0])),
        score,
        reach,
        limit,
    )


_Chosen = tuple[frozenset[int], frozenset[int]]  # rows of ratios, and of scales


def _candidate_scales(objects: Objects, config: Config) -> tuple[float, ...]:
    """Returns the scales between half the smallest and twice the largest object."""
    strides, sides = backbone_of(config).strides, objects.sides
    low, high = sides.min() / max(strides) / 2, sides.max() / min(strides) * 2
    return tuple(s for s in _SCALES if low <= s <= high) or _SCALES[:1]


def _candidate_ious(
    objects: Objects, config: Config, scales: tuple[float, ...]
) -> np.ndarray:
    """Returns float32 [n, A, S], each object's IoU with the best of each shape."""
    ious = np.empty([len(objects.labels), len(_RATIOS), len(scales)], np.float32)
    for row, ratio in enumerate(_RATIOS):
        for column, scale in enumerate(scales):
            own = with_anchors(config, (scale,), (ratio,))
            ious[:, row, column] = best_ious(objects, own)
    return ious


def with_anchors(
    config: Config, scales: tuple[float, ...], ratios: tuple[float, ...]
) -> Config:
    """Returns a configuration with other anchors.

    Args:
        config: with `anchors.sizes`, its sizes are replaced instead of its scales.
        scales: in strides of the finest map.
        ratios: heights over widths.
    """
    changes = {"scales": scales, "ratios": ratios}
    if config.anchors.sizes:
        stride = backbone_of(config).strides[0]
        changes = {"sizes": tuple(s * stride for s in scales), "ratios": ratios}
    return config.replace(anchors=config.anchors.replace(**changes))


def _weights(objects: Objects) -> np.ndarray:
    """Returns float64 [n] that sum to 1 and are the same in sum for each class."""
    counts = np.bincount(objects.labels)
    return 1.0 / counts[objects.labels] / np.count_nonzero(counts)


def _fit(ious: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Returns score and reach, see `Fit`."""
    score = np.minimum(ious, _ENOUGH_IOU) @ weights / _ENOUGH_IOU
    return float(score), float((ious >= 0.5) @ weights)


def _best(ious: np.ndarray, chosen: _Chosen) -> np.ndarray:
    rows, columns = (sorted(part) for part in chosen)
    return ious[:, rows][:, :, columns].max(axis=(1, 2))


def _grow(ious: np.ndarray, weights: np.ndarray, limit: float) -> _Chosen:
    """Returns anchors that reach the limit, nearly."""
    _, num_ratios, num_scales = ious.shape
    single = np.einsum("nas,n->as", np.minimum(ious, _ENOUGH_IOU), weights)
    single += _TIE * np.einsum("nas,n->as", ious, weights)
    ratio, scale = np.unravel_index(np.argmax(single), single.shape)
    ratios, scales = frozenset([int(ratio)]), frozenset([int(scale)])
    while True:
        best = _best(ious, (ratios, scales))
        score, reach = _fit(best, weights)
        moves = [(ratios | {i}, scales) for i in range(num_ratios)]
        moves += [(ratios, scales | {i}) for i in range(num_scales)]
        moves = [m for m in moves if _count(m) > _count((ratios, scales))]
        moves = [m for m in moves if _count(m) <= _MOST_ANCHORS]
        if not moves:
            return ratios, scales
        more = [np.maximum(best, _best(ious, move)) for move in moves]
        gains = [
            (_fit(own, weights)[0] - score + _TIE * float((own - best) @ weights))
            / (_count(move) - _count((ratios, scales)))
            for move, own in zip(moves, more, strict=True)
        ]
        best_move = int(np.argmax(gains))
        is_near = reach >= limit - _REACH_MISSED
        if gains[best_move] < (_LEAST_GAIN if is_near else 1e-9):
            return ratios, scales
        ratios, scales = moves[best_move]


def _prune(
    ious: np.ndarray, weights: np.ndarray, limit: float, chosen: _Chosen
) -> _Chosen:
    """Leaves out what costs less than a further anchor must gain."""
    while True:
        score, reach = _fit(_best(ious, chosen), weights)
        enough = min(reach, limit - _REACH_MISSED)
        kept = []
        for axis in (0, 1):
            for index in sorted(chosen[axis]):
                less = [*chosen]
                less[axis] = chosen[axis] - {index}
                if not less[axis]:
                    continue
                move: _Chosen = (less[0], less[1])
                own_score, own_reach = _fit(_best(ious, move), weights)
                cost = (score - own_score) / (_count(chosen) - _count(move))
                if own_reach >= enough and cost < _LEAST_GAIN / 2:
                    kept.append((cost, index, move))
        if not kept:
            return chosen
        chosen = min(kept)[2]


def _count(chosen: _Chosen) -> int:
    return len(chosen[0]) * len(chosen[1])
