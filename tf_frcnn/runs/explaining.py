"""What a detector makes of one picture, stage by stage, as drawings."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw

from tf_frcnn.data.decoding.pictures import Picture, read_picture
from tf_frcnn.drawing.boxes import class_color, draw_boxes
from tf_frcnn.layers.anchor_grid import base_anchors
from tf_frcnn.models import FasterRCNN
from tf_frcnn.models.detecting import Found, detect_in_pictures
from tf_frcnn.models.inspecting import InspectedBatch, inspector

# Proposals that are drawn, and those whose class scores are listed.
_PROPOSALS, _LISTED = 20, 8
# The sum of a drawn picture's colours and those of a map: the share of the map.
_MAP_SHARE = 0.65


class Explanation(NamedTuple):
    """The stages of one picture.

    Attributes:
        images: name -> uint8 [h, w, 3], in the order of the stages.
        lines: the class scores of the likeliest proposals, a text each.
        found: the detections.
    """

    images: dict[str, np.ndarray]
    lines: list[str]
    found: Found


class _Stages(NamedTuple):
    """A picture, uint8 [h, w, 3], and its boxes; arrays of one image."""

    picture: np.ndarray
    scales: np.ndarray
    boxes: InspectedBatch
    model: FasterRCNN


def explain(model: FasterRCNN, picture: Picture) -> Explanation:
    """Draws what a detector makes of a picture.

    Args:
        model: the detector.
        picture: in any form that `detect` takes.

    Returns:
        Drawings "1_anchors" (those of one position, a colour for each map),
        "2_rpn_scores" (the best score of the anchors of each position), "3_proposals"
        (those of the highest scores), "4_pooled_cells" (of the likeliest proposal),
        "5_roi_head" (refined boxes of sufficient scores before suppression, in the
        colours of their classes) and "6_detections".
    """
    kept: list[tuple[dict, InspectedBatch]] = []
    inspect = inspector(model)

    def detect(batch: dict) -> dict[str, np.ndarray]:
        boxes = tf.nest.map_structure(lambda value: value.numpy()[0], inspect(batch))
        kept.append((batch, boxes))
        return {n: v[np.newaxis] for n, v in boxes.detections._asdict().items()}

    names = model.class_names
    (found,) = detect_in_pictures(detect, [picture], model.resizing, names, 1)
    ((batch, boxes),) = kept
    pixels = read_picture(picture, "picture").numpy().round().astype("uint8")
    stages = _Stages(pixels, batch["scales"].numpy()[0], boxes, model)
    images = {name: draw(stages) for name, draw in _DRAWINGS.items()}
    return Explanation(images, _score_lines(stages), found)


def _anchors(stages: _Stages) -> np.ndarray:
    grid = stages.model.rpn.anchor_grid
    centre = np.tile(np.array(stages.picture.shape[:2]) / 2, 2)
    levels = []
    for stride in grid.strides:
        own = base_anchors(grid.anchors, stride)
        middle = np.tile((own[0, :2] + own[0, 2:]) / 2, 2)
        levels.append((own - middle) / np.tile(stages.scales, 2) + centre)
    labels = np.repeat(np.arange(len(levels)), [len(own) for own in levels])
    return _without_names(stages.picture, np.concatenate(levels), labels)


def _without_names(
    picture: np.ndarray, boxes: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """Draws boxes that are too many for captions, in the colours of their labels."""
    drawn = Image.fromarray(picture)
    draw = ImageDraw.Draw(drawn)
    for (top, left, bottom, right), label in zip(boxes.tolist(), labels, strict=True):
        edges = left, top, max(left, right - 1), max(top, bottom - 1)
        draw.rectangle(edges, outline=class_color(label))
    return np.asarray(drawn)


def _rpn_scores(stages: _Stages) -> np.ndarray:
    """Draws the picture where the RPN sees objects, and darkness elsewhere."""
    valid = stages.boxes.valid
    anchors, scores = stages.boxes.anchors[valid], stages.boxes.candidates.scores[valid]
    stride = stages.model.rpn.anchor_grid.strides[0]
    height, width = stages.picture.shape[:2]
    cells = _cells((height, width), stages.scales, stride)
    centres = (anchors[:, :2] + anchors[:, 2:]) / 2
    place = np.clip((centres * stages.scales / stride).astype(int), 0, cells - 1)
    grid = np.zeros(cells)
    np.maximum.at(grid, tuple(place.T), scores)
    share = Image.fromarray((255 * grid).astype("uint8"))
    share = share.resize((width, height), Image.Resampling.NEAREST)
    light = 1 - _MAP_SHARE + _MAP_SHARE * np.asarray(share)[..., np.newaxis] / 255
    return (stages.picture * light).astype("uint8")


def _cells(size: tuple[int, int], scales: np.ndarray, stride: int) -> np.ndarray:
    """Returns how many rows and columns of a map a picture covers.

    Its sides are whole in the network; 480 * float32(128 / 480) is a little more.
    """
    return -(-np.rint(size * scales).astype(int) // stride)


def _proposals(stages: _Stages) -> np.ndarray:
    valid = stages.boxes.proposals.valid
    boxes, scores = (
        values[valid][:_PROPOSALS] for values in stages.boxes.proposals[:2]
    )
    labels = np.zeros(len(boxes), int)
    return draw_boxes(stages.picture, boxes, labels, ["object"], scores=scores)


def _likeliest(stages: _Stages) -> np.ndarray:
    """Returns the rows of proposals, those of the highest class scores first."""
    scores = stages.boxes.scores[:, 1:].max(axis=1)
    rows = np.argsort(-scores, kind="stable")
    return rows[stages.boxes.proposals.valid[rows]]


def _pooled_cells(stages: _Stages) -> np.ndarray:
    drawn = Image.fromarray(stages.picture)
    draw, count = ImageDraw.Draw(drawn), stages.model.roi_head.roi.pooled_size
    for row in _likeliest(stages)[:1]:
        top, left, bottom, right = stages.boxes.proposals.boxes[row].tolist()
        for y in np.linspace(top, bottom, count + 1):
            draw.line((left, y, right, y), fill="white")
        for x in np.linspace(left, right, count + 1):
            draw.line((x, top, x, bottom), fill="white")
    return np.asarray(drawn)


def _roi_head(stages: _Stages) -> np.ndarray:
    rows = _likeliest(stages)
    labels = stages.boxes.scores[rows, 1:].argmax(axis=1)
    scores = stages.boxes.scores[rows, labels + 1]
    keep = scores > stages.model.roi_head.detections.score_threshold
    boxes = stages.boxes.boxes[rows, labels]
    return _without_names(stages.picture, boxes[keep], labels[keep])


def _detections(stages: _Stages) -> np.ndarray:
    found = stages.boxes.detections
    boxes, scores, labels = (values[found.valid] for values in found[:3])
    names = stages.model.class_names
    return draw_boxes(stages.picture, boxes, labels, names, scores=scores)


def _score_lines(stages: _Stages) -> list[str]:
    names = ("background", *stages.model.class_names)
    lines = []
    for row in _likeliest(stages)[:_LISTED]:
        scores = stages.boxes.scores[row]
        best = np.argsort(-scores, kind="stable")[:4]
        said = ", ".join(f"{names[label]} {scores[label]:.2f}" for label in best)
        box = ", ".join(f"{edge:.0f}" for edge in stages.boxes.proposals.boxes[row])
        lines.append(f"proposal ({box}): {said}")
    return lines


_DRAWINGS: dict[str, Callable[[_Stages], np.ndarray]] = {
    "1_anchors": _anchors,
    "2_rpn_scores": _rpn_scores,
    "3_proposals": _proposals,
    "4_pooled_cells": _pooled_cells,
    "5_roi_head": _roi_head,
    "6_detections": _detections,
}

# The names of the drawings.
STAGES = tuple(_DRAWINGS)
