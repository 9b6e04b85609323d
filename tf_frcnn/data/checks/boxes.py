"""Checks the boxes of one image and converts them to the package's convention."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tf_frcnn.data.checks.problems import Problems, nearest_name

# How far rounding may put a corner outside: 2 decimal places, or 5 of a share.
_ROUNDED_PIXELS, _ROUNDED_SHARE = 0.01, 1e-5


class DrawnObject(NamedTuple):
    """An object as written in its annotation.

    Attributes:
        name: class name.
        corners: (ymin, xmin, ymax, xmax) as written in the file.
        difficult: whether people found it hard to recognise.
        crowd: whether it is a region of many objects that were not drawn one by one.
    """

    name: str
    corners: tuple[float, float, float, float]
    difficult: bool
    crowd: bool = False


class CheckedObjects(NamedTuple):
    """The objects of one image that can be used.

    Attributes:
        boxes: float32 [n, 4], (ymin, xmin, ymax, xmax), continuous corners.
        labels: int32 [n] in 0..K-1.
        difficult: bool [n].
        crowd: bool [n].
    """

    boxes: np.ndarray
    labels: np.ndarray
    difficult: np.ndarray
    crowd: np.ndarray


def check_objects(
    objects: list[DrawnObject],
    to_boxes: Callable[[np.ndarray], np.ndarray],
    size: tuple[int, int],
    class_names: tuple[str, ...],
    problems: Problems,
    file: str,
) -> CheckedObjects:
    """Returns the objects of an image that can be used.

    Args:
        objects: as written in the annotation.
        to_boxes: returns the continuous corners in the upright image, float [n, 4], for
            the corners as written, in order.
        size: (height, width) of the upright image in pixels.
        class_names: K names.
        problems: records every fault.
        file: name for messages.
    """
    objects = known_objects(objects, class_names, problems, file)
    objects = ordered_objects(objects, problems, file)
    corners = np.array([drawn.corners for drawn in objects]).reshape(-1, 4)
    return objects_inside(objects, to_boxes(corners), size, class_names, problems, file)


def known_objects(
    objects: list[DrawnObject],
    class_names: tuple[str, ...],
    problems: Problems,
    file: str,
) -> list[DrawnObject]:
    """Returns the objects whose class is known; the others are `unknown_class`."""
    known = []
    for drawn in objects:
        if drawn.name in class_names:
            known.append(drawn)
        else:
            problems.add(
                "unknown_class",
                file,
                f"{drawn.name!r} is not one of the classes {', '.join(class_names)}"
                f"{nearest_name(drawn.name, class_names)}",
            )
    return known


def ordered_objects(
    objects: list[DrawnObject], problems: Problems, file: str
) -> list[DrawnObject]:
    """Returns the objects whose corners are finite, in order, and not equal.

    A box whose first and last pixel are the same row or column is a slip of the mouse
    and has zero area, even though an inclusive convention would give it one pixel.
    """
    ordered = []
    for drawn in objects:
        ymin, xmin, ymax, xmax = drawn.corners
        if not np.isfinite(drawn.corners).all():
            problems.add("non_finite_box", file, _words(drawn))
        elif ymin == ymax or xmin == xmax:
            problems.add("zero_area_box", file, _words(drawn))
        elif ymin < ymax and xmin < xmax:
            ordered.append(drawn)
        elif problems.add("swapped_corners", file, _words(drawn)) == "repair":
            y_range, x_range = sorted((ymin, ymax)), sorted((xmin, xmax))
            corners = (y_range[0], x_range[0], y_range[1], x_range[1])
            ordered.append(drawn._replace(corners=corners))
    return ordered


def objects_inside(
    objects: list[DrawnObject],
    boxes: np.ndarray,
    size: tuple[int, int],
    class_names: tuple[str, ...],
    problems: Problems,
    file: str,
) -> CheckedObjects:
    """Clips boxes to the image and drops those that lie outside it.

    A corner that is out by no more than the rounding of written numbers, such as YOLO's
    shares with five decimal places, is no fault.

    Args:
        objects: n objects, for their classes and for messages.
        boxes: float [n, 4], their continuous corners in the upright image.
        size: (height, width) of the upright image in pixels.
        class_names: K names.
        problems: records every `box_outside`.
        file: name for messages.
    """
    height, width = size
    sides = np.array([height, width, height, width])
    clipped = np.clip(boxes, 0, sides)
    rounding = np.maximum(_ROUNDED_PIXELS, _ROUNDED_SHARE * sides)
    is_empty = (clipped[:, 2:] <= clipped[:, :2]).any(axis=1)
    is_outside = (abs(clipped - boxes) > rounding).any(axis=1) | is_empty
    keep = np.ones(len(objects), bool)
    for row in np.flatnonzero(is_outside):
        detail = f"{_words(objects[row])}; the image has {width} x {height} pixels"
        action = problems.add(
            "box_outside", file, detail, "drop" if is_empty[row] else ""
        )
        keep[row] = action == "repair"
    kept = [objects[row] for row in np.flatnonzero(keep)]
    return CheckedObjects(
        boxes=clipped[keep].astype(np.float32),
        labels=np.array([class_names.index(drawn.name) for drawn in kept], np.int32),
        difficult=np.array([drawn.difficult for drawn in kept], bool),
        crowd=np.array([drawn.crowd for drawn in kept], bool),
    )


def _words(drawn: DrawnObject) -> str:
    ymin, xmin, ymax, xmax = drawn.corners
    return (
        f"{drawn.name} has xmin {xmin:g}, ymin {ymin:g}, xmax {xmax:g}, ymax {ymax:g}"
    )
