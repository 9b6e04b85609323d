"""What training images are changed by."""

from collections.abc import Callable
from typing import Any

from tf_frcnn.config import AugmentSettings


class Augmentation(AugmentSettings):
    """The random changes to training images."""

    function: Callable[..., Any] | None = None
    """A user's own change of an image and its boxes, made first; see
    `user_function`."""

    @property
    def is_none(self) -> bool:
        """Whether images stay as they are."""
        plan = self.replace(crop_area=0.3, crop_cover=0.5, min_visible=0.3)
        return plan == NO_AUGMENTATION

    @property
    def changes_shape(self) -> bool:
        """Whether images may need another canvas than without."""
        has_function = self.function is not None
        return self.rotate or self.crop > 0.0 or self.letterbox or has_function

    @property
    def begins_resized(self) -> bool:
        """Whether nothing changes before an image has the network's size."""
        return not (self.changes_shape or self.places or self.mosaic)

    @property
    def places(self) -> bool:
        """Whether images are placed on a ground that they may leave or not fill."""
        return self.letterbox or self.scale != (1.0, 1.0) or self.aspect > 0.0


NO_AUGMENTATION = Augmentation()
