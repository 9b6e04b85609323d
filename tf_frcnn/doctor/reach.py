"""The reach of anchors: how well the best of an image's anchors covers each object.

n is the number of objects.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tf_frcnn.assembly import backbone_of, build_resizing
from tf_frcnn.config import Config
from tf_frcnn.data import ExampleSet, Record
from tf_frcnn.data.decoding.resizing import plan_resize
from tf_frcnn.data.decoding.to_canvas import own_canvases
from tf_frcnn.data.pipeline.canvases import canvas_groups
from tf_frcnn.layers.anchor_grid import base_anchors


class Objects(NamedTuple):
    """The objects that training learns from, as the network sees them.

    Attributes:
        boxes: float64 [n, 4], (ymin, xmin, ymax, xmax) in network pixels.
        labels: int64 [n] in 0..K-1.
        image_sizes: int64 [n, 2], (height, width) of each object's image in network
            pixels.
        canvases: int64 [n, 2], (height, width) of the canvas around it.
    """

    boxes: np.ndarray
    labels: np.ndarray
    image_sizes: np.ndarray
    canvases: np.ndarray

    @property
    def sides(self) -> np.ndarray:
        """float64 [n], the root of each object's area in network pixels."""
        return np.sqrt(np.prod(self.boxes[:, 2:] - self.boxes[:, :2], axis=1))

    def take(self, rows: np.ndarray) -> "Objects":
        """Returns the objects of these rows."""
        return Objects(*(values[rows] for values in self))


def network_objects(examples: ExampleSet, config: Config) -> Objects:
    """Brings the objects of a set to the network's size.

    Args:
        examples: the set.
        config: its `images` and `data.train_on_difficult` are read.
    """
    records = examples.records
    resizing = build_resizing(config.images)
    heights, widths = np.array([(r.height, r.width) for r in records]).T
    plan = plan_resize(
        heights, widths, resizing.short_sides[0], resizing.long_side, resizing.method
    )
    sizes, scales = np.array(plan.sizes), np.array(plan.scales)
    if isinstance(resizing.canvases, int):
        canvases = own_canvases(sizes, resizing.canvases)
    else:
        rows = canvas_groups(records, sizes[:, np.newaxis], resizing.canvases)
        canvases = np.array(resizing.canvases, np.int64)[rows]
    image, boxes = _images_of_objects(records), _boxes(records)
    labels = np.concatenate([np.zeros(0, int), *(r.labels for r in records)])
    objects = Objects(
        boxes * np.tile(scales, 2)[image],
        labels,
        *(values[image] for values in (sizes, np.asarray(canvases))),
    )
    return objects.take(_are_learned(records, config))


def file_boxes(examples: ExampleSet, config: Config) -> np.ndarray:
    """Returns float64 [n, 4], the boxes of `network_objects` in file pixels."""
    return _boxes(examples.records)[_are_learned(examples.records, config)]


def _boxes(records: Sequence[Record]) -> np.ndarray:
    parts = [np.zeros([0, 4]), *(record.boxes for record in records)]
    return np.concatenate(parts).astype(np.float64)


def _images_of_objects(records: Sequence[Record]) -> np.ndarray:
    return np.repeat(np.arange(len(records)), [len(r.labels) for r in records])


def _are_learned(records: Sequence[Record], config: Config) -> np.ndarray:
    on_difficult = config.data.train_on_difficult
    learned = [~r.crowd & (~r.difficult | on_difficult) for r in records]
    return np.concatenate([np.zeros(0, bool), *learned])


def best_ious(objects: Objects, config: Config) -> np.ndarray:
    """Returns the IoU of each object with the best anchor of its image.

    Every anchor counts that training would look at: those of the image's cells that
    cross its border by at most `rpn.allowed_border`. The overlap of two intervals only
    falls with the distance of their centres, so that along each axis the best cell is
    the one nearest to the object that is allowed: no grid is made.

    Args:
        objects: n objects.
        config: `backbone`, `anchors`, `rpn.allowed_border` and `conventions` are read.

    Returns:
        float64 [n] in 0..1; 0 where no anchor touches the object.
    """
    best = np.zeros(len(objects.labels))
    plus = float(config.conventions.plus_one)
    areas = np.prod(objects.boxes[:, 2:] - objects.boxes[:, :2] + plus, axis=1)
    for stride in backbone_of(config).strides:
        steps, cells = _cells(objects, config, stride)
        for anchor in base_anchors(config.anchors, stride).astype(np.float64):
            inside = np.ones(len(best))
            for axis in (0, 1):
                inside *= _overlaps(objects, anchor, axis, steps, cells, config)
            area = np.prod(anchor[2:] - anchor[:2] + plus)
            np.maximum(best, inside / (areas + area - inside), out=best)
    return best


def _cells(
    objects: Objects, config: Config, stride: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns int64 [n, 2] twice: pixels from cell to cell, and the number of cells."""
    maps = -(-objects.canvases // stride)
    if backbone_of(config).rounds_down:
        maps = objects.canvases // stride
    steps = np.full_like(maps, stride)
    if config.anchors.style == "torchvision":
        steps = objects.canvases // maps
    cells = maps if config.conventions.on_padding else -(-objects.image_sizes // stride)
    return steps, np.minimum(cells, maps)


def _overlaps(
    objects: Objects,
    anchor: np.ndarray,
    axis: int,
    steps: np.ndarray,
    cells: np.ndarray,
    config: Config,
) -> np.ndarray:
    """Returns float64 [n], the overlap along an axis with the nearest allowed anchor.

    Args:
        objects: n objects.
        anchor: float64 [4], the anchor of cell (0, 0) in pixels.
        axis: 0 for y, 1 for x.
        steps: int64 [n, 2], see `_cells`.
        cells: int64 [n, 2], see `_cells`.
        config: see `best_ious`.
    """
    low, high = objects.boxes[:, axis], objects.boxes[:, axis + 2]
    anchor_low, anchor_high = anchor[axis], anchor[axis + 2]
    step, border = steps[:, axis], config.rpn.allowed_border
    first, last = np.zeros(len(low)), cells[:, axis] - 1.0
    if border is not None:
        room = (objects.image_sizes[:, axis] + border - anchor_high) / step
        is_strict = config.conventions.plus_one
        last = np.minimum(last, np.ceil(room) - 1 if is_strict else np.floor(room))
        first = np.maximum(first, np.ceil((-border - anchor_low) / step))
    nearest = np.rint((low + high - anchor_low - anchor_high) / 2 / step)
    shift = np.clip(nearest, first, last) * step
    overlap = np.minimum(high, anchor_high + shift) - np.maximum(
        low, anchor_low + shift
    )
    overlap += config.conventions.plus_one
    return np.where(first <= last, np.maximum(overlap, 0.0), 0.0)
