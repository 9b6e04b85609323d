import numpy as np
import pytest
from PIL import ImageFont

from tf_frcnn.drawing import fonts
from tf_frcnn.drawing.boxes import draw_boxes
from tf_frcnn.drawing.fonts import font_of, legible
from tf_frcnn.drawing.matrices import draw_matrix

OWN = ImageFont.load_default(20).getname()


def pixels(font, text):
    return bytes(font.getmask(text))


@pytest.fixture
def without_fonts(monkeypatch):
    """A system that has no fonts."""
    fonts._font_of.cache_clear()
    monkeypatch.setattr(fonts, "_OF_THE_SYSTEM", ("none.ttf",))
    yield
    fonts._font_of.cache_clear()


def test_names_of_latin_letters_have_the_font_of_pillow():
    font = font_of(["red cell", "0.98"], 20)
    assert font.getname() == OWN and legible("red cell 0.98", font) == "red cell 0.98"


def test_letters_that_no_font_has_lose_their_accents(without_fonts):
    font = font_of(["Blutkörperchen"], 20)
    assert font.getname() == OWN
    assert legible("Blutkörperchen (ß), naïve 中", font) == (
        "Blutkorperchen (?), naive ?"
    )


def test_a_font_of_the_system_is_taken_for_what_the_own_lacks(monkeypatch):
    asked, load = [], ImageFont.truetype
    full = ImageFont.load_default(21)

    def of_the_system(file, *arguments, **keywords):
        if not isinstance(file, str):  # Pillow's own.
            return load(file, *arguments, **keywords)
        asked.append(file)
        return full

    has = fonts._has
    monkeypatch.setattr(fonts, "_has", lambda font, x: font is full or has(font, x))
    monkeypatch.setattr(ImageFont, "truetype", of_the_system)
    fonts._font_of.cache_clear()
    assert font_of(["x"], 20).size == 20 and not asked
    assert font_of(["Ж"], 20) is full and asked[0] == "DejaVuSans.ttf"
    fonts._font_of.cache_clear()


def test_no_box_stands_for_a_letter_in_drawings(without_fonts):
    """The pictures are those of the names without accents."""
    image = np.zeros([80, 200, 3], np.uint8)
    box, label = np.array([[30, 20, 60, 150.0]]), np.array([0])
    accented = draw_boxes(image, box, label, ["kör"])
    assert np.array_equal(accented, draw_boxes(image, box, label, ["kor"]))
    assert not np.array_equal(accented, draw_boxes(image, box, label, ["k?r"]))
    matrix = np.eye(2, dtype=int)
    assert np.array_equal(
        draw_matrix(matrix, ["kör", "b"]), draw_matrix(matrix, ["kor", "b"])
    )
