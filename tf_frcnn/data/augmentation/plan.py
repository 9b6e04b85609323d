"""What training images are changed by."""

from collections.abc import Callable
from typing import Any, NamedTuple


class Augmentation(NamedTuple):
    """The random changes to training images; the settings `augment` describe them.

    Attributes:
        function: a user's own change of an image and its boxes, made first; see
            `user_function`. None for none.
    """

    rotate: bool = False
    crop: float = 0.0
    crop_area: float = 0.3
    crop_cover: float = 0.5
    mosaic: float = 0.0
    letterbox: bool = False
    scale: tuple[float, ...] = (1.0, 1.0)
    aspect: float = 0.0
    min_visible: float = 0.3
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    hsv: tuple[float, ...] = (0.0, 0.0, 0.0)
    grey: float = 0.0
    function: Callable[..., Any] | None = None

    @property
    def is_none(self) -> bool:
        """Whether images stay as they are."""
        plan = self._replace(crop_area=0.3, crop_cover=0.5, min_visible=0.3)
        return plan == NO_AUGMENTATION

    @property
    def changes_shape(self) -> bool:
        """Whether images may need another canvas than without."""
        has_function = self.function is not None
        return self.rotate or self.crop > 0.0 or self.letterbox or has_function

    @property
    def places(self) -> bool:
        """Whether images are placed on a ground that they may leave or not fill."""
        return self.letterbox or self.scale != (1.0, 1.0) or self.aspect > 0.0


NO_AUGMENTATION = Augmentation()
