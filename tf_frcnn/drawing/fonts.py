"""Fonts that have the letters of class names."""

import functools
import unicodedata

from PIL import ImageFont

# Fonts of Linux, Windows and macOS with more letters than Pillow's own.
_OF_THE_SYSTEM = (
    *("DejaVuSans.ttf", "NotoSans-Regular.ttf", "LiberationSans-Regular.ttf"),
    *("NotoSansCJK-Regular.ttc", "arial.ttf", "Arial Unicode.ttf"),
    *("msyh.ttc", "msgothic.ttc", "malgun.ttf", "PingFang.ttc", "Hiragino Sans GB.ttc"),
)
_NO_LETTER = "\uffff"  # Every font draws its sign for missing letters.


def font_of(texts: list[str], size: int) -> ImageFont.FreeTypeFont:
    """Returns Pillow's own font, or a font of the system that has more of the letters.

    Args:
        texts: to be written.
        size: in pixels.
    """
    letters = tuple(sorted({*"".join(texts)}))
    return _font_of(letters, size)


def legible(text: str, font: ImageFont.FreeTypeFont) -> str:
    """Returns a text whose letters the font has.

    A letter that it lacks becomes one without its accents, or a question mark.
    """
    return "".join(
        letter if _has(font, letter) else _plain(letter, font) for letter in text
    )


@functools.cache
def _font_of(letters: tuple[str, ...], size: int) -> ImageFont.FreeTypeFont:
    # With a size it is never the bitmap font.
    own: ImageFont.FreeTypeFont = ImageFont.load_default(size)  # type: ignore
    best, fewest = own, _lacking(own, letters)
    for name in _OF_THE_SYSTEM if fewest else ():
        try:
            font = ImageFont.truetype(name, size)
        except OSError:
            continue
        if (lacking := _lacking(font, letters)) < fewest:
            best, fewest = font, lacking
    return best


def _lacking(font: ImageFont.FreeTypeFont, letters: tuple[str, ...]) -> int:
    return sum(not _has(font, letter) for letter in letters)


def _has(font: ImageFont.FreeTypeFont, letter: str) -> bool:
    return letter.isspace() or bytes(font.getmask(letter)) != bytes(
        font.getmask(_NO_LETTER)
    )


def _plain(letter: str, font: ImageFont.FreeTypeFont) -> str:
    base = unicodedata.normalize("NFKD", letter)[0]
    return base if _has(font, base) else "?"
