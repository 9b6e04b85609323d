"""The drawing of the synthetic data set: outlines, backgrounds, clutter."""

import functools

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SHAPE_CLASSES = ("cross", "ellipse", "rectangle", "triangle")

# Masks are drawn this much larger and reduced, so that a pixel's coverage is known.
OVERSAMPLING = 3
MAX_TILT = np.deg2rad(20)
# Letters that look like none of the shapes.
LETTERS = "BEFGHJKMNRS2345679"


def draw_shape(rng: np.random.Generator, class_name: str, size: float) -> np.ndarray:
    """Draws one shape, filled or in outline, tilted and stretched at random.

    Args:
        rng: decides tilt, stretch and style.
        class_name: one of `SHAPE_CLASSES`.
        size: geometric mean of the untilted sides, in pixels.

    Returns:
        bool [h, w], the drawn pixels, without an empty row or column at the border.
    """
    stretch = np.exp(rng.normal(0.25, 0.35))  # width / height, often above 1
    sides = size * np.clip([stretch**0.5, stretch**-0.5], 0.6, 1.7)
    points = _unit_outline(class_name)
    points = points / np.ptp(points, axis=0) * sides
    points = _rotated(points, rng.uniform(-1, 1) * MAX_TILT)
    is_filled = rng.random() < 0.6
    thickness = 0 if is_filled else max(2.0, size * rng.uniform(0.07, 0.13))
    return _rasterized(points, thickness)


def _unit_outline(class_name: str) -> np.ndarray:
    """Returns float64 [n, 2]: the corners (x, y) of the shape, y downwards."""
    angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    arm = 0.36
    outlines = {
        "cross": [
            (-arm, -1),
            (arm, -1),
            (arm, -arm),
            (1, -arm),
            (1, arm),
            (arm, arm),
            (arm, 1),
            (-arm, 1),
            (-arm, arm),
            (-1, arm),
            (-1, -arm),
            (-arm, -arm),
        ],
        "ellipse": np.stack([np.cos(angles), np.sin(angles)], axis=1),
        "rectangle": [(-1, -1), (1, -1), (1, 1), (-1, 1)],
        "triangle": [(0, -1), (0.95, 0.8), (-0.95, 0.8)],
    }
    return np.array(outlines[class_name], np.float64)


def _rotated(points: np.ndarray, angle: float) -> np.ndarray:
    cos, sin = np.cos(angle), np.sin(angle)
    return points @ np.array([[cos, sin], [-sin, cos]])


def _rasterized(points: np.ndarray, thickness: float) -> np.ndarray:
    """Returns bool [h, w]: pixels of which at least half is covered; 0 means filled."""
    margin = int(np.ceil(thickness)) + 1
    points = points - points.min(axis=0) + margin
    width, height = np.ceil(points.max(axis=0)).astype(int) + margin
    large = Image.new("L", (width * OVERSAMPLING, height * OVERSAMPLING))
    corners = [tuple(point) for point in points * OVERSAMPLING]
    pen = ImageDraw.Draw(large)
    if thickness:
        line_width = max(round(thickness * OVERSAMPLING), 1)
        # The first side is drawn again at the end, to join the last corner as well.
        pen.line([*corners, *corners[:2]], fill=255, width=line_width, joint="curve")
    else:
        pen.polygon(corners, fill=255)
    mask = np.asarray(large.reduce(OVERSAMPLING)) >= 128
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def contrasting_color(rng: np.random.Generator, beneath: np.ndarray) -> np.ndarray:
    """Returns float64 [3]: an RGB color well away from the mean of [n, 3] pixels."""
    colors = rng.uniform(0, 255, (8, 3))
    distances = np.linalg.norm(colors - beneath.mean(axis=0), axis=1)
    is_far = distances > 110
    return colors[np.argmax(is_far) if is_far.any() else np.argmax(distances)]


def draw_background(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Returns float32 [height, width, 3] in 0..255: a texture with clutter on it."""
    styles = (_clouds, _gradient, _stripes)
    texture = styles[rng.integers(len(styles))](rng, height, width)
    image = Image.fromarray(np.clip(texture, 0, 255).astype(np.uint8))
    _strew_clutter(rng, image)
    grain = rng.normal(0, rng.uniform(2, 10), (height, width, 1))
    return np.clip(np.asarray(image) + grain, 0, 255).astype(np.float32)


def _clouds(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    coarse = rng.uniform(0, 255, 3) + rng.normal(0, 35, (*rng.integers(3, 9, 2), 3))
    image = Image.fromarray(np.clip(coarse, 0, 255).astype(np.uint8))
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))


def _gradient(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    along = _ramp(rng.uniform(0, 2 * np.pi), height, width)
    share = (along - along.min()) / np.ptp(along)
    start, end = rng.uniform(0, 255, (2, 3))
    return start + share[..., np.newaxis] * (end - start)


def _stripes(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    along = _ramp(rng.uniform(0, 2 * np.pi), height, width)
    wave = np.sin(along * 2 * np.pi / rng.uniform(6, 40)) * rng.uniform(10, 35)
    return rng.uniform(30, 225, 3) + wave[..., np.newaxis] * rng.uniform(0.4, 1, 3)


def _ramp(angle: float, height: int, width: int) -> np.ndarray:
    """Returns float64 [height, width]: the distance in pixels along a direction."""
    y, x = np.ogrid[:height, :width]
    return x * np.cos(angle) + y * np.sin(angle)


def _strew_clutter(rng: np.random.Generator, image: Image.Image) -> None:
    """Draws lines, squiggles, dots and letters that are not objects."""
    pen = ImageDraw.Draw(image)
    for _ in range(rng.poisson(5)):
        color = tuple(int(c) for c in rng.integers(0, 256, 3))
        x, y = rng.uniform(0, 1, 2) * image.size
        kind = rng.integers(4)
        if kind == 0:
            pen.line([x, y, *(rng.uniform(0, 1, 2) * image.size)], color, width=1)
        elif kind == 1:
            steps = rng.normal(0, 6, (12, 2))
            walk = np.array([x, y]) + np.cumsum(steps, axis=0)
            pen.line([tuple(point) for point in walk], color, width=1)
        elif kind == 2:
            pen.ellipse([x, y, x + 3, y + 3], color)
        else:
            letter = LETTERS[rng.integers(len(LETTERS))]
            pen.text((x, y), letter, color, font=_font(int(rng.integers(8, 18))))


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
