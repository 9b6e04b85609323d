"""The worst images of each cause, zoomed: ground truth beside detections."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from tf_frcnn.data import ExampleSet
from tf_frcnn.data.decoding.transforms import decode_image
from tf_frcnn.drawing.boxes import draw_boxes, side_by_side
from tf_frcnn.drawing.pages import image_address
from tf_frcnn.report.causes import MISS
from tf_frcnn.report.contents import Report
from tf_frcnn.report.figures import used_scores

# Pictures of a cause, and the most of one image among them.
_OF_CAUSE = 6
# Sides of what is shown: of the box it is about, at least in pixels of the file, and of
# the drawing in its own pixels.
_TIMES, _LEAST, _DRAWN = 3.0, 48.0, 250


class Subject(NamedTuple):
    """A missed object or a false alarm that is shown.

    Attributes:
        cause: its place among the causes.
        image: its record.
        box: float [4], in pixels of the file.
        row: of the object or detection.
    """

    cause: int
    image: int
    box: np.ndarray
    row: int


class Picture(NamedTuple):
    """A picture of the gallery.

    Attributes:
        image_id: of the record.
        caption: what it shows.
        address: of the picture, a data URI.
    """

    image_id: str
    caption: str
    address: str


def gallery_of(report: Report, examples: ExampleSet) -> list[list[Picture]]:
    """Returns the pictures of each cause of a report; each image is read once."""
    subjects = [*_subjects(report)]
    pictures: dict[int, Picture] = {}
    rows = sorted({subject.image for subject in subjects})
    subset = examples.subset(rows)
    for index, data in subset.stream().as_numpy_iterator() if rows else ():
        record = subset.records[index]
        image = decode_image(data, record.orientation).numpy()
        for number, subject in enumerate(subjects):
            if subject.image == rows[index]:
                drawn = _drawn(image, subject, report, examples.class_names)
                caption = _caption(subject, report, examples.class_names)
                address = image_address(drawn, quality=75)
                pictures[number] = Picture(record.image_id, caption, address)
    found: list[list[Picture]] = [[] for _ in report.causes]
    for number, subject in enumerate(subjects):
        found[subject.cause].append(pictures[number])
    return found


def _subjects(report: Report) -> Iterator[Subject]:
    """Yields the worst of each cause, of as many images as there are."""
    for number, cause in enumerate(report.causes):
        source = report.seen.truth if cause.group == MISS else report.seen.found
        images = source.image_index[cause.rows]
        # The first of each image, then the second of each, ...
        turns = [np.sum(images[:n] == image) for n, image in enumerate(images[:200])]
        for place in np.argsort(turns, kind="stable")[:_OF_CAUSE]:
            row = int(cause.rows[place])
            yield Subject(number, int(images[place]), source.boxes[row], row)


def _drawn(
    image: np.ndarray, subject: Subject, report: Report, names: tuple[str, ...]
) -> np.ndarray:
    """Returns the surroundings of a box twice, uint8 [h, w, 3]."""
    window, scale = _window(image, subject.box)
    top, left, bottom, right = window
    part = Image.fromarray(image[top:bottom, left:right])
    size = [max(1, round(side * scale)) for side in part.size]
    own = (subject.box - [top, left, top, left]) * scale
    zoomed = _framed(part.resize(size, Image.Resampling.BICUBIC), own)
    truth, found = report.seen.truth, report.seen.found
    objects = np.flatnonzero(truth.image_index == subject.image)
    shown = found.image_index == subject.image
    shown &= used_scores(found, report.thresholds.best_f1)
    if report.causes[subject.cause].group != MISS:
        shown[subject.row] = True
    detections = np.flatnonzero(shown)
    sides = []
    for rows, source, scores in (
        (objects, truth, None),
        (detections, found, found.scores),
    ):
        boxes = (source.boxes[rows] - [top, left, top, left]) * scale
        seen = _within(boxes, zoomed.shape)
        rows, boxes = rows[seen], boxes[seen]
        own_scores = None if scores is None else scores[rows]
        sides.append(
            draw_boxes(zoomed, boxes, source.labels[rows], names, scores=own_scores)
        )
    return side_by_side(*sides, captions=("marked", "detected"))


def _window(image: np.ndarray, box: np.ndarray) -> tuple[list[int], float]:
    """Returns (top, left, bottom, right) about a box, and the scale of its drawing."""
    limits = np.array(image.shape[:2])
    side = max(_TIMES * (box[2:] - box[:2]).max(), _LEAST)
    sides = np.minimum(np.ceil(side), limits).astype(int)
    centre = (box[:2] + box[2:]) / 2
    low = np.clip((centre - sides / 2).round().astype(int), 0, limits - sides)
    return [*low, *(low + sides)], _DRAWN / sides.max()


def _within(boxes: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Returns bool [n], which boxes have a part in an image of a shape."""
    ends = np.hstack([boxes[:, 2:] > 0, boxes[:, :2] < shape[:2]])
    return np.all(ends, axis=1)


def _framed(image: Image.Image, box: np.ndarray) -> np.ndarray:
    """Draws a frame just outside of a box, white between black lines."""
    draw = ImageDraw.Draw(image)
    top, left, bottom, right = box.tolist()
    for distance, color in ((2, "black"), (3, "white"), (4, "white"), (5, "black")):
        edges = left - distance, top - distance, right + distance, bottom + distance
        draw.rectangle(edges, outline=color)
    return np.asarray(image)


def _caption(subject: Subject, report: Report, names: tuple[str, ...]) -> str:
    """Returns what is missed, or what is detected wrongly and with which score."""
    cause = report.causes[subject.cause]
    place = int(np.flatnonzero(cause.rows == subject.row)[0])
    name, side = names[cause.labels[place]], cause.sides[place]
    if cause.group == MISS:
        return f"{name}, {side:.0f} pixels at the network's scale"
    caption = f"{name} {report.seen.found.scores[subject.row]:.2f}"
    other = cause.others[place]
    if cause.name == "class":
        return f"{caption}, but it is {names[other]}"
    if cause.name == "class_and_box":
        return f"{caption}, beside {names[other]}"
    return caption
