"""The settings of random changes to training images; by default nothing changes."""

from typing import Annotated, ClassVar

from pydantic import Field

from tf_frcnn.config.settings import (
    BelowOne,
    FromList,
    HalfAtMost,
    NotFalling,
    Positive,
    Settings,
    Share,
    ShareOrZero,
)

Factors = Annotated[
    tuple[Positive, ...], FromList, Field(min_length=2, max_length=2), NotFalling
]
Gains = Annotated[tuple[BelowOne, ...], FromList, Field(min_length=3, max_length=3)]


class AugmentSettings(Settings):
    """The random changes to training images, in the order in which they are made.

    Mirroring is `data.flip`.
    """

    section: ClassVar[str] = "augment"

    rotate: bool = False
    """Whether images are turned by 0, 90, 180 or 270 degrees, drawn evenly."""
    crop: ShareOrZero = 0.0
    """Share of images of which only a random part is seen."""
    crop_area: Share = 0.3
    """Smallest area of such a part, as a share of the image's."""
    crop_cover: ShareOrZero = 0.5
    """Share of at least one object's box that such a part covers."""
    mosaic: ShareOrZero = 0.0
    """Share of images that give way to a mosaic of theirs and three others."""
    letterbox: bool = False
    """Whether images lie in grey squares of images.short_side, which they fill as far
    as their shape allows."""
    scale: Factors = (1.0, 1.0)
    """Least and greatest factor of an image's size, which is then cut, or surrounded
    with grey, to what it was without; large-scale jitter is [0.1, 2.0]."""
    aspect: BelowOne = 0.0
    """Distortion: width over height is multiplied by the ratio of two numbers that
    differ from 1 by this at most, and cut or surrounded with grey likewise."""
    min_visible: ShareOrZero = 0.3
    """Share of a box that must be left by crop, mosaic, scale and aspect; an object of
    which less is left is dropped."""
    brightness: BelowOne = 0.0
    """Largest difference from 1 of a factor of all values."""
    contrast: BelowOne = 0.0
    """The same of the values' distance from the image's mean grey."""
    saturation: BelowOne = 0.0
    """The same of the values' distance from the pixel's grey."""
    hue: HalfAtMost = 0.0
    """Largest shift of the hue, as a share of the circle of colours."""
    hsv: Gains = (0.0, 0.0, 0.0)
    """Largest differences from 1 of factors of hue, saturation and value, as the YOLO
    programs and bubbliiiing have them, instead of the four above."""
    grey: ShareOrZero = 0.0
    """Share of images that lose their colours."""
