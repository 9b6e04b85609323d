"""Boxes drawn into images."""

import colorsys
import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tf_frcnn.drawing.fonts import font_of, legible

_GOLDEN_RATIO = 0.618034  # multiples of it spread over the hues, however many there are
_BACKGROUND = (32, 32, 32)


class Rectangle(NamedTuple):
    """Whole pixels: rows top..bottom - 1, columns left..right - 1."""

    top: int
    left: int
    bottom: int
    right: int


def class_color(label: int) -> tuple[int, int, int]:
    """Returns the RGB colour 0..255 of a class, always the same for a label."""
    hue = (label * _GOLDEN_RATIO) % 1.0
    saturation, value = [(1.0, 1.0), (0.5, 1.0), (1.0, 0.65)][label % 3]
    red, green, blue = colorsys.hsv_to_rgb(hue, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


def draw_boxes(
    image: np.ndarray,
    boxes: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str],
    *,
    scores: np.ndarray | None = None,
    crowd: np.ndarray | None = None,
) -> np.ndarray:
    """Draws boxes with their class names into a copy of the image.

    Lines and letters grow with the image. Names are placed where they hide each other
    least, those of the best scores first.

    Args:
        image: uint8 [h, w, 3], RGB.
        boxes: float [n, 4], (ymin, xmin, ymax, xmax) in pixels of the image; parts
            that lie outside are moved onto its border.
        labels: int [n] in 0..K-1; rows of label -1 are padding and left out.
        class_names: K names.
        scores: float [n], written after the names.
        crowd: bool [n], which of them are crowd regions, written after the names.

    Returns:
        uint8 [h, w, 3].
    """
    image, boxes, labels = _checked(image, boxes, labels, class_names)
    rows = np.flatnonzero(labels >= 0)
    captions = [class_names[label] if label >= 0 else "" for label in labels]
    for row in np.flatnonzero([] if crowd is None else crowd):
        captions[row] += " (crowd)"
    if scores is not None:
        scores = np.asarray(scores)
        rows = rows[np.argsort(-scores[rows], kind="stable")]
        captions = [f"{c} {s:.2f}" for c, s in zip(captions, scores, strict=True)]
    drawn = Image.fromarray(image)
    draw = ImageDraw.Draw(drawn)
    line, font = _line_width(image), font_of(captions, _letter_size(image))
    captions = [legible(caption, font) for caption in captions]
    frames = {row: _frame(boxes[row], image) for row in rows}
    for row in rows[::-1]:  # the best lie on top
        top, left, bottom, right = frames[row]
        edges = (left, top, right - 1, bottom - 1)
        draw.rectangle(edges, outline=class_color(labels[row]), width=line)
    names = {
        row: _shorten(captions[row], font, image.shape[1] - 2 * line) for row in rows
    }
    places: dict[np.integer, Rectangle] = {}
    for row in rows:
        size = sum(font.getmetrics()), math.ceil(font.getlength(names[row])) + 2 * line
        places[row] = place_label(size, frames[row], places.values(), image.shape[:2])
    for row in rows[::-1]:
        _write(draw, names[row], places[row], font, line, class_color(labels[row]))
    return np.array(drawn)


def place_label(
    size: tuple[int, int],
    frame: Rectangle,
    taken: Collection[Rectangle],
    image_size: tuple[int, int],
) -> Rectangle:
    """Finds a place for a label at a corner of its box.

    Args:
        size: height and width of the label in pixels.
        frame: the box.
        taken: the labels that are placed already.
        image_size: height and width of the image in pixels.

    Returns:
        The place within the image that covers the least of those labels; of equal ones
        the first of: above the box, inside it, below it.
    """
    height, width = size
    tops = frame.top - height, frame.top, frame.bottom, frame.bottom - height
    places = []
    for left in (frame.left, frame.right - width):
        for top in tops:
            y = max(0, min(top, image_size[0] - height))
            x = max(0, min(left, image_size[1] - width))
            places.append(Rectangle(y, x, y + height, x + width))
    return min(places, key=lambda place: sum(_shared(place, other) for other in taken))


def side_by_side(
    left: np.ndarray, right: np.ndarray, *, captions: tuple[str, str]
) -> np.ndarray:
    """Puts two images next to each other under their captions.

    Args:
        left: uint8 [h, w, 3].
        right: uint8 [h', w', 3].
        captions: text above the left and the right image.

    Returns:
        uint8 [band + max(h, h'), w + gap + w', 3].
    """
    font, gap = font_of([*captions], _letter_size(left)), 2 * _line_width(left)
    band = sum(font.getmetrics())
    height = band + max(left.shape[0], right.shape[0])
    canvas = Image.new(
        "RGB", (left.shape[1] + gap + right.shape[1], height), _BACKGROUND
    )
    draw, start = ImageDraw.Draw(canvas), 0
    for image, caption in zip((left, right), captions, strict=True):
        canvas.paste(Image.fromarray(image), (start, band))
        text = _shorten(legible(caption, font), font, image.shape[1])
        draw.text((start, 0), text, fill="white", font=font)
        start += image.shape[1] + gap
    return np.array(canvas)


def write_png(path: str | Path, image: np.ndarray) -> None:
    """Writes an image, uint8 [h, w, 3], and creates its folders."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(image)).save(path, format="PNG")


def write_jpeg(path: str | Path, image: np.ndarray) -> None:
    """Writes an image, uint8 [h, w, 3], with its colours in full resolution."""
    Image.fromarray(image).save(path, format="JPEG", quality=90, subsampling=0)


def _checked(
    image: np.ndarray, boxes: np.ndarray, labels: np.ndarray, class_names: Sequence[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    image, labels = np.asarray(image), np.asarray(labels, int)
    boxes = np.asarray(boxes, float).reshape(-1, 4)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        found = f"{image.dtype} {list(image.shape)}"
        raise ValueError(f"draw_boxes: image is {found}; it must be uint8 [h, w, 3].")
    if labels.max(initial=-1) >= len(class_names):
        names = f"there are {len(class_names)} class names"
        raise ValueError(f"draw_boxes: a label is {labels.max()}, but {names}.")
    if not np.isfinite(boxes).all():
        raise ValueError("draw_boxes: boxes must be finite; some are not.")
    return image, boxes, labels


def _line_width(image: np.ndarray) -> int:
    return max(1, round(max(image.shape[:2]) / 300))


def _letter_size(image: np.ndarray) -> int:
    return max(10, round(max(image.shape[:2]) / 45))


def _frame(box: np.ndarray, image: np.ndarray) -> Rectangle:
    """Returns the pixels of a box, at least one of them, within the image."""
    height, width = image.shape[:2]
    top, left, bottom, right = (round(edge) for edge in box.tolist())
    top, left = min(max(top, 0), height - 1), min(max(left, 0), width - 1)
    return Rectangle(
        top,
        left,
        min(max(bottom, top + 1), height),
        min(max(right, left + 1), width),
    )


def _shared(one: Rectangle, other: Rectangle) -> int:
    rows = min(one.bottom, other.bottom) - max(one.top, other.top)
    columns = min(one.right, other.right) - max(one.left, other.left)
    return max(rows, 0) * max(columns, 0)


def _shorten(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """Returns as much of the text as fits the width, and dots for the rest."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}...") > width:
        text = text[:-1]
    return f"{text}..." if text else ""


def _write(
    draw: ImageDraw.ImageDraw,
    text: str,
    place: Rectangle,
    font: ImageFont.FreeTypeFont,
    margin: int,
    color: tuple[int, int, int],
) -> None:
    edges = place.left, place.top, place.right - 1, place.bottom - 1
    draw.rectangle(edges, fill=color)
    luminance = 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2]  # ITU-R BT.601
    ink = "black" if luminance > 128 else "white"
    draw.text((place.left + margin, place.top), text, fill=ink, font=font)
