"""Matrices of numbers as images."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from tf_frcnn.drawing.fonts import font_of, legible

# Pixels of a cell, most letters of a name, and their size in pixels.
_CELL, _LETTERS, _LETTER_SIZE = 44, 14, 13
_HIT, _WRONG = np.array([109, 147, 207]), np.array([199, 84, 76])


def draw_matrix(matrix: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Draws a confusion matrix; the darker a cell, the larger its share of the row.

    Args:
        matrix: int [n, n]; rows are what is marked, columns what is detected.
        names: n, of the rows and the columns.

    Returns:
        uint8 [h, w, 3].
    """
    font = font_of([*names], _LETTER_SIZE)
    names = [legible(name, font) for name in names]
    short = [n if len(n) <= _LETTERS else f"{n[: _LETTERS - 1]}…" for n in names]
    margin = 12 + round(max(font.getlength(name) for name in short))
    side = margin + _CELL * len(short)
    image = Image.new("RGB", (side, side), "white")
    draw = ImageDraw.Draw(image)
    for row, name in enumerate(short):
        place = margin + _CELL * (row + 0.5)
        draw.text((margin - 6, place), name, "black", font, anchor="rm")
        _draw_upright(image, name, (round(place), margin - 6), font)
        for column, number in enumerate(matrix[row]):
            share = number / max(matrix[row].sum(), 1)
            colour = _HIT if row == column else _WRONG
            shade = np.round(255 - share * (255 - colour)).astype(int)
            left, top = margin + _CELL * column, margin + _CELL * row
            box = (left, top, left + _CELL, top + _CELL)
            draw.rectangle(box, tuple(shade.tolist()), "#dcdcd8")
            if number:
                middle = (left + _CELL / 2, top + _CELL / 2)
                draw.text(middle, str(number), "black", font, anchor="mm")
    return np.asarray(image)


def _draw_upright(
    image: Image.Image, name: str, foot: tuple[int, int], font: Any
) -> None:
    """Writes a name from below to above; `foot` is the middle of its lower end."""
    length = round(font.getlength(name)) + 2
    text = Image.new("RGB", (length, 18), "white")
    ImageDraw.Draw(text).text((0, 9), name, "black", font, anchor="lm")
    image.paste(text.rotate(90, expand=True), (foot[0] - 9, foot[1] - length))
